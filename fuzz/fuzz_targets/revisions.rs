//! Revision ids on any text, and revision trees on any paths of them.
//!
//! Text: what parses shows itself as it was written, but for the case of hexadecimal digits. Paths: a tree stays proper
//! whatever is merged into it, and stemming keeps the winner.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_revtree::Tree;
use tidegate_types::{Rev, Seq};

fuzz_target!(|text: &str| {
    let mut tree = Tree::default();
    for line in text.lines().take(64) {
        let path: Vec<Rev> = line.split('>').filter_map(|rev| rev.parse().ok()).collect();
        for rev in &path {
            assert_eq!(rev.to_string().parse::<Rev>().as_ref(), Ok(rev));
        }
        let falls = path.windows(2).all(|pair| pair[0].generation() == pair[1].generation() + 1);
        if !path.is_empty() && falls {
            tree.merge(&path, line.len() % 2 == 0, Seq::new(1));
            assert!(Tree::from_nodes(tree.nodes().to_vec()).is_ok());
        }
    }
    let winner = tree.winner().map(|node| node.rev.clone());
    tree.stem(3);
    assert_eq!(tree.winner().map(|node| node.rev.clone()), winner);
});
