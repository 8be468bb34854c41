//! What is shown of a user's document. Source: `couch_users_db:after_doc_read`.

use std::borrow::Cow;

use super::{Author, name_of_id, write::copy_members};
use crate::Error;

/// `public_fields`: the members of a user's document that everybody may read who may read the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicFields(Vec<String>);

impl PublicFields {
    /// The names of a list such as `first_name, url`.
    pub fn parse(text: &str) -> Self {
        Self(text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }
}

/// The members that the reader may see: all for administrators and for the user itself, the public ones for others.
///
/// # Errors
/// [`Error::NotFound`] when there would be nothing to see, [`Error::Forbidden`] for a design document.
pub fn visible_members<'a>(
    id: &str,
    members: &'a [u8],
    author: Author<'_>,
    public: &PublicFields,
) -> Result<Cow<'a, [u8]>, Error> {
    if author.is_admin() {
        return Ok(Cow::Borrowed(members));
    }
    if id.starts_with("_design/") {
        return Err(Error::forbidden("Only administrators can view design docs in the users database."));
    }
    if name_of_id(id).is_some_and(|name| author.user.is_named(name)) {
        return Ok(Cow::Borrowed(members));
    }
    let mut shown = Vec::new();
    copy_members(members, &mut shown, |name| public.0.iter().any(|field| field == name))?;
    if shown.is_empty() { Err(Error::missing()) } else { Ok(Cow::Owned(shown)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Handler, Security, UserCtx};

    const MEMBERS: &str = r#""name":"ada","url":"x","salt":"s""#;

    fn read(id: &str, reader: &UserCtx, public: &str) -> Result<String, Error> {
        let security = Security::parse(br#"{"admins":{"roles":["keeper"]}}"#).unwrap();
        let author = Author { user: reader, security: &security };
        let shown = visible_members(id, MEMBERS.as_bytes(), author, &PublicFields::parse(public))?;
        Ok(String::from_utf8(shown.into_owned()).unwrap())
    }

    #[test]
    fn others_see_what_is_public() {
        let user =
            |name: &str, role: &str| UserCtx::user(name.parse().unwrap(), vec![role.parse().unwrap()], Handler::Cookie);
        let ada = "org.couchdb.user:ada";
        assert_eq!(read(ada, &user("ada", "r"), "").as_deref(), Ok(MEMBERS));
        assert_eq!(read(ada, &user("root", "_admin"), "").as_deref(), Ok(MEMBERS));
        assert_eq!(read(ada, &user("kim", "keeper"), "").as_deref(), Ok(MEMBERS));
        assert_eq!(read(ada, &user("eve", "r"), ""), Err(Error::missing()));
        assert_eq!(read(ada, &UserCtx::anonymous(), "other"), Err(Error::missing()));
        assert_eq!(read(ada, &user("eve", "r"), "url , first").as_deref(), Ok(r#""url":"x""#));
        assert_eq!(read("ada", &user("ada", "r"), "url").as_deref(), Ok(r#""url":"x""#));
        let design = "Only administrators can view design docs in the users database.";
        assert_eq!(read("_design/_auth", &user("ada", "r"), "url"), Err(Error::forbidden(design)));
        assert_eq!(read("_design/_auth", &user("root", "_admin"), "").as_deref(), Ok(MEMBERS));
    }
}
