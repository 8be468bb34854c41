//! One power cut: under which rules, and what of the unsynced is there afterwards.

use std::fmt;

use super::Random;

/// What a filesystem promises beyond the letter of `fsync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Model {
    /// POSIX to the letter: content is durable once the file is synced, a name once its folder is. Everything else may
    /// come in any order, by sectors of 512 bytes.
    Strict,
    /// ext4, data=ordered: names and sizes go through a journal in order, syncing a file commits what led to it, and a
    /// size never covers new pages that weren't written. Pages in place tear by sectors, new ones don't.
    Ext4,
    /// [`Model::Ext4`] on a device which writes 4 KiB at once.
    Ext4Pages,
}

impl Model {
    /// All models.
    pub const ALL: [Self; 3] = [Self::Strict, Self::Ext4, Self::Ext4Pages];

    /// Whether names and sizes are journalled in order.
    pub(super) fn journals(self) -> bool {
        match self {
            Self::Strict => false,
            Self::Ext4 | Self::Ext4Pages => true,
        }
    }
}

/// Which of the writes not yet synced are found after the cut. Each file is dealt with separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContentStrategy {
    /// None.
    Nothing,
    /// All.
    Everything,
    /// Each page has all or none of its writes.
    PagesMixed,
    /// Each sector has all or none of its writes.
    SectorsMixed,
    /// A prefix of the writes, and the next one in any mix of its sectors.
    TornPrefix,
    /// Each sector is as it was after any of the writes.
    AnyVersion,
    /// All, but for one page.
    OnePageMissing,
    /// All, but for one sector.
    OneSectorMissing,
    /// One page only.
    OnePageOnly,
    /// Each file another of the above: one may be ahead of the other.
    PerFile,
}

impl ContentStrategy {
    /// All strategies.
    pub const ALL: [Self; 10] = [
        Self::Nothing,
        Self::Everything,
        Self::PagesMixed,
        Self::SectorsMixed,
        Self::TornPrefix,
        Self::AnyVersion,
        Self::OnePageMissing,
        Self::OneSectorMissing,
        Self::OnePageOnly,
        Self::PerFile,
    ];

    /// The strategy for one file: [`ContentStrategy::PerFile`] resolved.
    pub(super) fn for_file(self, random: &mut Random) -> Self {
        let [others @ .., _per_file] = Self::ALL;
        if self == Self::PerFile { *random.pick(&others).unwrap_or(&self) } else { self }
    }
}

/// Which of the changes of names not yet durable are found after the cut. Under the ext4 models, where they are
/// ordered, all but the first two mean a random prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameStrategy {
    /// None.
    Nothing,
    /// All.
    Everything,
    /// Each or not, by chance.
    Mixed,
    /// A prefix for each folder.
    Prefix,
    /// All removals and renames, and only some new names.
    AdditionsMissing,
}

impl NameStrategy {
    /// All strategies.
    pub const ALL: [Self; 5] = [Self::Nothing, Self::Everything, Self::Mixed, Self::Prefix, Self::AdditionsMissing];
}

/// One way in which a cut at a given position may turn out. Equal values give equal folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The filesystem's rules.
    pub model: Model,
    /// What is left of contents.
    pub content: ContentStrategy,
    /// What is left of names.
    pub names: NameStrategy,
    /// Decides what the strategies leave open.
    pub seed: u64,
}

impl Cut {
    /// The `variant`-th way: the extremes first, then random strategies.
    #[must_use]
    pub fn variant(model: Model, variant: usize, seed: u64) -> Self {
        let mut random = Random::of(&[seed, variant as u64, model as u64]);
        let content = *random.pick(&ContentStrategy::ALL).unwrap_or(&ContentStrategy::PerFile);
        let names = *random.pick(&NameStrategy::ALL).unwrap_or(&NameStrategy::Mixed);
        let (content, names) = match variant {
            0 => (ContentStrategy::Nothing, NameStrategy::Nothing),
            1 => (ContentStrategy::Everything, NameStrategy::Nothing),
            2 => (ContentStrategy::Nothing, NameStrategy::Everything),
            _ => (content, names),
        };
        Self { model, content, names, seed: random.next_u64() }
    }

    /// The end in which nothing is lost, as after a mere kill of the process.
    #[must_use]
    pub fn nothing_lost() -> Self {
        Self { model: Model::Strict, content: ContentStrategy::Everything, names: NameStrategy::Everything, seed: 0 }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, content, names, seed } = self;
        write!(out, "model {model:?}, content {content:?}, names {names:?}, seed {seed:#x}")
    }
}
