//! What may happen to a database. Numbers pick from what is there when the step is played.

use proptest::{collection::vec, prelude::*};

pub(crate) const DOCUMENTS: u8 = 6;
pub(crate) const LOCALS: u8 = 4;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Edits in one batch, each planned after the one before it.
    Batch(Vec<EditPlan>),
    /// Batches sent at once, all planned on what is there before them.
    Concurrent(Vec<Vec<EditPlan>>),
    /// Of these documents the revisions these numbers pick.
    Purge(Vec<(u8, Vec<u8>)>),
    /// How many purges are remembered.
    PurgesMax(u8),
    Compact,
    RevsLimit(u64),
    PutLocal(u8, u8),
    DeleteLocal(u8),
    /// An upload that comes to nothing.
    Upload(u8, Ending),
    Reopen(Closing),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    Aborted,
    Discarded,
    Abandoned,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Closing {
    Properly,
    ByCrash,
}

#[derive(Clone, Debug)]
pub(crate) struct EditPlan {
    pub(crate) document: u8,
    pub(crate) place: Place,
    pub(crate) deleted: bool,
    pub(crate) attachments: Vec<AttachmentPlan>,
    pub(crate) body: u8,
}

/// Where in the document's history.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    OnLeaf(u8),
    WithoutParent,
    /// On any revision, mostly one that is no leaf.
    OnAny(u8),
    OnUnknown,
    /// So many new revisions on a revision that any replica might have, with so many of the path sent.
    Replicated {
        base: u8,
        fresh: usize,
        sent: usize,
    },
    /// A known revision with ancestors it doesn't have.
    Contradicting(u8),
}

#[derive(Clone, Debug)]
pub(crate) struct AttachmentPlan {
    pub(crate) name: u8,
    pub(crate) content: ContentPlan,
}

#[derive(Clone, Debug)]
pub(crate) enum ContentPlan {
    New(u8),
    Carried(u8),
    Unknown,
}

/// Contents by number; few, so that many revisions share them. The last two take more than one chunk.
pub(crate) fn content(number: u8) -> bytes::Bytes {
    let length = [0, 5, 5, 10_000, 256 << 10, (256 << 10) + 1, 600_000][usize::from(number)];
    vec![number; length].into()
}

fn content_number() -> impl Strategy<Value = u8> {
    prop_oneof![10 => 0u8..4, 1 => 4u8..7]
}

fn attachment() -> impl Strategy<Value = AttachmentPlan> {
    let content = prop_oneof![
        8 => content_number().prop_map(ContentPlan::New),
        8 => any::<u8>().prop_map(ContentPlan::Carried),
        1 => Just(ContentPlan::Unknown),
    ];
    (0u8..3, content).prop_map(|(name, content)| AttachmentPlan { name, content })
}

fn place() -> impl Strategy<Value = Place> {
    let replicated = (any::<u8>(), 0usize..4, 1usize..8);
    prop_oneof![
        8 => any::<u8>().prop_map(Place::OnLeaf),
        4 => Just(Place::WithoutParent),
        2 => any::<u8>().prop_map(Place::OnAny),
        1 => Just(Place::OnUnknown),
        10 => replicated.prop_map(|(base, fresh, sent)| Place::Replicated { base, fresh, sent }),
        1 => any::<u8>().prop_map(Place::Contradicting),
    ]
}

fn edit() -> impl Strategy<Value = EditPlan> {
    let deleted = prop::bool::weighted(0.2);
    let attachments = prop_oneof![2 => Just(Vec::new()), 1 => vec(attachment(), 1..4)];
    (0..DOCUMENTS, place(), deleted, attachments, any::<u8>()).prop_map(
        |(document, place, deleted, attachments, body)| EditPlan { document, place, deleted, attachments, body },
    )
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let ending = prop_oneof![Just(Ending::Aborted), Just(Ending::Discarded), Just(Ending::Abandoned)];
    let closing = prop_oneof![Just(Closing::Properly), Just(Closing::ByCrash)];
    prop_oneof![
        24 => vec(edit(), 1..6).prop_map(Step::Batch),
        6 => vec(vec(edit(), 1..4), 2..5).prop_map(Step::Concurrent),
        3 => vec((0..DOCUMENTS, vec(any::<u8>(), 1..3)), 1..3).prop_map(Step::Purge),
        1 => (1..5u8).prop_map(Step::PurgesMax),
        2 => Just(Step::Compact),
        3 => prop_oneof![1u64..5, Just(1_000)].prop_map(Step::RevsLimit),
        2 => (0..LOCALS, any::<u8>()).prop_map(|(id, body)| Step::PutLocal(id, body)),
        1 => (0..LOCALS).prop_map(Step::DeleteLocal),
        1 => (content_number(), ending).prop_map(|(content, ending)| Step::Upload(content, ending)),
        1 => closing.prop_map(Step::Reopen),
    ]
}
