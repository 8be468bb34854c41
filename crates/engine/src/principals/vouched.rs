//! Users for whom somebody else vouches: with a token, or as a web server in front.

use super::{
    admin::user_write,
    login::{Door, PrincipalLogin},
};
use crate::{Credentials, Error};
use tidegate_access::{
    Handler,
    oidc::{Identity, Registration, Voucher},
    principal::{Epoch, UserSettings, Vouched},
};
use tidegate_store::Replaces;
use tidegate_types::{Principal, PrincipalName};

/// Attempts, where others write the same user at the same time.
const ATTEMPTS_MAX: usize = 10;

/// What somebody else says of a user.
pub(super) struct Testimony {
    pub(super) name: PrincipalName,
    pub(super) email: Option<String>,
    pub(super) vouched: Vouched,
    pub(super) registration: Registration,
}

impl Testimony {
    pub(super) fn of(identity: Identity, voucher: &Voucher, now_s: u64) -> Self {
        let Identity { name, email, channels, roles, .. } = identity;
        let vouched = Vouched {
            issuer: voucher.issuer.clone(),
            channels: channels.unwrap_or_default(),
            roles: roles.unwrap_or_default(),
            updated_s: now_s,
        };
        Self { name, email, vouched, registration: voucher.registration }
    }
}

impl Door<'_> {
    /// The user whom a web server in front has recognised, if there is one and it did.
    pub(super) async fn of_header(&self, credentials: &Credentials<'_>) -> Result<Option<PrincipalLogin>, Error> {
        let Some(remote) = &self.rules.logins.remote else { return Ok(None) };
        let name = (credentials.header)(remote.name_header());
        let groups = remote.groups_header().and_then(credentials.header);
        let Some(user) = remote.user(name, groups, credentials.peer)? else { return Ok(None) };
        let vouched = remote.vouched(&user, self.inner.now_s());
        let testimony = Testimony { name: user.name, email: None, vouched, registration: remote.registration };
        Ok(Some(self.login(self.accept(testimony).await?, Handler::Remote)))
    }

    /// Lets a user in for whom somebody vouches: who isn't known is registered where that is wanted, and what is said of
    /// it now is written where it differs from what was said before.
    pub(super) async fn accept(&self, testimony: Testimony) -> Result<PrincipalName, Error> {
        let name = &testimony.name;
        if *name == PrincipalName::guest() || name.as_str().parse::<crate::UserName>().is_err() {
            return Err(Error::BadCredentials);
        }
        for _ in 0..ATTEMPTS_MAX {
            match self.try_accept(&testimony).await {
                Err(Error::Conflict) => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(testimony.name),
            }
        }
        Err(Error::Conflict)
    }

    async fn try_accept(&self, testimony: &Testimony) -> Result<(), Error> {
        let Testimony { name, email, vouched, registration } = testimony;
        let known = self.inner.principals.user(&self.db, name).await?;
        let (settings, replaces) = match (known, registration) {
            (Some(known), _) if !known.settings.is_enabled() => return Err(Error::BadCredentials),
            (Some(known), _) => match known.settings.with_vouched(vouched.clone(), email.clone()) {
                Some(settings) => (settings, Replaces::Written(known.seq)),
                None => return Ok(()),
            },
            (None, Registration::Automatic) => {
                let epoch = Epoch::new(rand::random());
                (UserSettings::vouched_for(vouched.clone(), email.clone(), epoch), Replaces::Nothing)
            }
            (None, Registration::Closed) => return Err(Error::BadCredentials),
        };
        let write = user_write(&settings, Some(replaces));
        self.db.put_principal(Principal::User(name.clone()), write).await?;
        Ok(())
    }
}
