//! The parts of the documents.

/// The part of the document that operations stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tag {
    Server,
    Databases,
    Documents,
    Attachments,
    Bulk,
    Changes,
    Sessions,
    OpenIdConnect,
    Users,
    Roles,
    Configuration,
    SyncFunction,
    Upkeep,
    Replications,
    Diagnosis,
    Api,
}

impl Tag {
    /// In the order of the document.
    pub(super) const ALL: [Self; 16] = [
        Self::Server,
        Self::Databases,
        Self::Documents,
        Self::Attachments,
        Self::Bulk,
        Self::Changes,
        Self::Sessions,
        Self::OpenIdConnect,
        Self::Users,
        Self::Roles,
        Self::Configuration,
        Self::SyncFunction,
        Self::Upkeep,
        Self::Replications,
        Self::Diagnosis,
        Self::Api,
    ];

    /// Its name, as readers see it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Databases => "Databases",
            Self::Documents => "Documents",
            Self::Attachments => "Attachments",
            Self::Bulk => "Bulk",
            Self::Changes => "Changes",
            Self::Sessions => "Sessions",
            Self::OpenIdConnect => "OpenID Connect",
            Self::Users => "Users",
            Self::Roles => "Roles",
            Self::Configuration => "Configuration",
            Self::SyncFunction => "Sync function",
            Self::Upkeep => "Upkeep",
            Self::Replications => "Replications",
            Self::Diagnosis => "Diagnosis",
            Self::Api => "API",
        }
    }

    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Server => "The server as a whole.",
            Self::Databases => "Databases as a whole.",
            Self::Documents => "One document at a time, of every kind.",
            Self::Attachments => "Content of any type that belongs to a document.",
            Self::Bulk => "Many documents in one request, and what replication asks.",
            Self::Changes => "What changed, and what changes.",
            Self::Sessions => "Who somebody is, and logins that last.",
            Self::OpenIdConnect => "Logins by identity providers.",
            Self::Users => "Those who log in to a database.",
            Self::Roles => "What several users have in common.",
            Self::Configuration => "How a database behaves.",
            Self::SyncFunction => "What decides who sees a document, and trying it out.",
            Self::Upkeep => "Looking after a database.",
            Self::Replications => "What goes to other servers and comes from there.",
            Self::Diagnosis => "Why something is as it is.",
            Self::Api => "This document, and the page that shows it.",
        }
    }
}
