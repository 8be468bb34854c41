//! What a cut does to one file: how many of its unsynced changes each sector has seen.

use super::cut::{ContentStrategy, Cut, Model};
use super::image::{PAGE, SECTOR};
use super::names::NodeId;
use super::node::Node;
use super::random::Random;

const SECTORS_PER_PAGE: usize = PAGE / SECTOR;

/// For one cut and one file.
pub(super) struct Choice {
    strategy: ContentStrategy,
    model: Model,
    seed: u64,
    changes: usize,
    /// For torn prefixes: changes that are whole.
    prefix: usize,
    /// For strategies about one page or sector: the first sector of the one.
    chosen: usize,
    /// Changes whose effect on the length is there, where there is no journal.
    pub(super) sizes: usize,
    /// Whether the length is there even where the data is not.
    pub(super) size_without_data: bool,
}

impl Choice {
    pub(super) fn new(node: &Node, id: NodeId, cut: &Cut) -> Self {
        let mut random = Random::of(&[cut.seed, id as u64]);
        let strategy = cut.content.for_file(&mut random);
        let changes = node.changes();
        let touched: Vec<usize> = if is_about_one(strategy) { node.touched() } else { Vec::new() };
        let chosen = random.pick(&touched).copied().unwrap_or(usize::MAX);
        let prefix = random.below(changes + 1);
        let sizes = match strategy {
            ContentStrategy::Nothing => 0,
            ContentStrategy::Everything | ContentStrategy::OnePageMissing | ContentStrategy::OneSectorMissing => {
                changes
            }
            ContentStrategy::PagesMixed
            | ContentStrategy::SectorsMixed
            | ContentStrategy::TornPrefix
            | ContentStrategy::AnyVersion
            | ContentStrategy::OnePageOnly
            | ContentStrategy::PerFile => random.below(changes + 1),
        };
        let size_without_data = !cut.model.journals() && random.one_in(4);
        let seed = random.next_u64();
        Self { strategy, model: cut.model, seed, changes, prefix, chosen, sizes, size_without_data }
    }

    /// How many of the pending changes are found in `sector`.
    pub(super) fn version(&self, node: &Node, sector: usize) -> usize {
        let all = self.changes;
        let page = sector / SECTORS_PER_PAGE;
        match self.strategy {
            ContentStrategy::Nothing => 0,
            ContentStrategy::Everything | ContentStrategy::PerFile => all,
            ContentStrategy::PagesMixed => self.draw(page * SECTORS_PER_PAGE, 2) * all,
            ContentStrategy::SectorsMixed => self.draw(self.unit(node, sector), 2) * all,
            ContentStrategy::TornPrefix => (self.prefix + self.draw(self.unit(node, sector), 2)).min(all),
            ContentStrategy::AnyVersion => self.draw(self.unit(node, sector), all + 1),
            ContentStrategy::OnePageMissing if page == self.chosen / SECTORS_PER_PAGE => 0,
            ContentStrategy::OneSectorMissing if self.unit(node, sector) == self.unit(node, self.chosen) => 0,
            ContentStrategy::OnePageMissing | ContentStrategy::OneSectorMissing => all,
            ContentStrategy::OnePageOnly if page == self.chosen / SECTORS_PER_PAGE => all,
            ContentStrategy::OnePageOnly => 0,
        }
    }

    /// The sectors that stand or fall together are known by their first.
    fn unit(&self, node: &Node, sector: usize) -> usize {
        let page = sector / SECTORS_PER_PAGE;
        let whole_pages = match self.model {
            Model::Strict => false,
            Model::Ext4 => !node.is_in_place(page),
            Model::Ext4Pages => true,
        };
        if whole_pages { page * SECTORS_PER_PAGE } else { sector }
    }

    fn draw(&self, unit: usize, bound: usize) -> usize {
        Random::of(&[self.seed, unit as u64]).below(bound)
    }
}

fn is_about_one(strategy: ContentStrategy) -> bool {
    match strategy {
        ContentStrategy::OnePageMissing | ContentStrategy::OneSectorMissing | ContentStrategy::OnePageOnly => true,
        ContentStrategy::Nothing
        | ContentStrategy::Everything
        | ContentStrategy::PagesMixed
        | ContentStrategy::SectorsMixed
        | ContentStrategy::TornPrefix
        | ContentStrategy::AnyVersion
        | ContentStrategy::PerFile => false,
    }
}
