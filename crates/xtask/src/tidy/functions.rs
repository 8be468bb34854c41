//! A function, its signature and comments included, has at most 70 lines.
//!
//! Clippy counts what it compiles; this also sees code inside macros and behind `cfg`.

use super::{
    finding::Finding,
    mask::{block_end, is_word},
    tree::{File, Tree, line_at},
};

const LINES_MAX: usize = 70;

/// Every function of every Rust file.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let long = |file: &File| {
        let functions = functions(&file.masked).into_iter().filter(|function| function.lines > LINES_MAX);
        functions.map(|function| function.too_long(&file.path)).collect::<Vec<_>>()
    };
    tree.rust().flat_map(long).collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    line: usize,
    lines: usize,
}

impl Function {
    fn too_long(&self, path: &str) -> Finding {
        let Self { name, line, lines } = self;
        let advice =
            format!("`{name}` has {lines} lines, {LINES_MAX} are allowed: move straight work into functions it calls");
        Finding::failure(path, *line, advice)
    }
}

/// The functions with a body, outermost first.
fn functions(masked: &str) -> Vec<Function> {
    masked.match_indices("fn ").filter_map(|(offset, _)| function_at(masked, offset)).collect()
}

fn function_at(masked: &str, offset: usize) -> Option<Function> {
    let (before, after) = masked.split_at(offset);
    if before.ends_with(|char| is_word(char) || char == '#') {
        return None;
    }
    let name: String = after.chars().skip("fn ".len()).take_while(|char| is_word(*char) || *char == '#').collect();
    if name.is_empty() {
        return None; // A function pointer's type.
    }
    let end = block_end(masked, offset)?;
    let line = line_at(masked, offset);
    Some(Function { name, line, lines: line_at(masked, end) - line + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::assert_findings;

    fn function(name: &str, line: usize, lines: usize) -> Function {
        Function { name: name.to_owned(), line, lines }
    }

    #[test]
    fn functions_are_found_with_their_lines() {
        let text =
            "trait T {\n fn declared(&self);\n}\nfn outer<'a>() -> impl Fn(&'a str)\nwhere\n{\n  fn inner() {}\n}\n";
        assert_eq!(functions(text), [function("outer", 4, 5), function("inner", 7, 1)]);
        assert_eq!(functions("type F = fn (u8); let r#fn = dyn_fn {};"), []);
        assert_eq!(functions("fn f(callback: fn(u8) -> u8) {}"), [function("f", 1, 1)]);
    }

    #[test]
    fn a_brace_in_a_literal_ends_nothing() {
        let file = File::new("a.rs", "fn f() {\n  let a = \"}\"; // }\n  let b = '}';\n}\n");
        assert_eq!(functions(&file.masked), [function("f", 1, 4)]);
    }

    #[test]
    fn only_long_functions_are_found() {
        let of_lines = |lines: usize| format!("//! A\n\nfn f() {{\n{}}}\n", "  g();\n".repeat(lines - 2));
        assert_findings(&check(&Tree::of([("a.rs", &of_lines(70))])), &[]);
        assert_findings(&check(&Tree::of([("a.rs", &of_lines(71))])), &["a.rs:3: error: `f` has 71 lines"]);
    }
}
