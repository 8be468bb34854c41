//! `[attachments]`: which are stored compressed.

use super::sections::{BadValue, Sections};

/// Which attachments are stored compressed, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compression {
    /// From 0, which is not at all, to 9.
    pub level: u32,
    /// Media types in lower case; `text/*` is all that begin so.
    pub types: Vec<String>,
}

impl Compression {
    /// Whether content of this type is stored compressed.
    pub fn is_for(&self, content_type: &str) -> bool {
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let fits = |known: &String| match known.strip_suffix('*') {
            Some(beginning) => media_type.starts_with(beginning),
            None => *known == media_type,
        };
        self.level > 0 && self.types.iter().any(fits)
    }

    pub(super) fn of(sections: &Sections) -> Result<Self, BadValue> {
        let level = sections.integer("attachments", "compression_level", 8)?.min(9);
        let usual = ["text/*", "application/javascript", "application/json", "application/xml"].map(str::to_owned);
        let types = sections.list("attachments", "compressible_types").unwrap_or_else(|| usual.to_vec());
        let types = types.into_iter().map(|name| name.to_ascii_lowercase()).collect();
        Ok(Self { level: u32::try_from(level).unwrap_or(9), types })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, value: &str, packed: &[&str], plain: &[&str]) {
        let mut sections = Sections::default();
        sections.set("attachments", key, value);
        let compression = Compression::of(&sections).unwrap();
        let is_for = |content_type: &&str| compression.is_for(content_type);
        assert!(packed.iter().all(is_for) && !plain.iter().any(is_for), "{key} = {value}");
    }

    #[test]
    fn text_is_compressed_where_nothing_else_is_said() {
        let packed = ["text/plain", "TEXT/html; charset=utf-8", "application/json", "application/xml"];
        check("other", "", &packed, &["image/png", "application/octet-stream", "", "context/plain"]);
        check("compressible_types", "image/svg+xml, Text/plain", &["image/svg+xml", "text/plain"], &["text/html"]);
        check("compression_level", "0", &[], &packed);
    }
}
