//! How much is too much.

/// The limits of what one document may hold. Each has the name of CouchDB's setting where it has one.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `max_document_size`: bytes of a document's JSON text, attachments apart.
    pub document_bytes_max: usize,
    /// `max_attachment_size`: bytes of one attachment.
    pub attachment_bytes_max: u64,
    /// Attachments of one document.
    pub attachments_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { document_bytes_max: 8_000_000, attachment_bytes_max: 1 << 30, attachments_max: 1_000 }
    }
}
