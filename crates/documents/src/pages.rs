//! What web pages may send to a dialect and read from it: the rules of the configuration, in the dialect's words.

use http::{HeaderName, Method, header};
use std::sync::{Arc, PoisonError, RwLock};
use tidegate_engine::{CorsRules, Live};
use tidegate_http::cors::{Cors, CorsOptions, Credentials, Origins};

/// What pages may do where the configuration doesn't say.
#[derive(Clone, Copy, Debug)]
pub struct PageRules {
    /// The methods besides those of forms.
    pub methods: &'static [&'static str],
    /// The headers they may send.
    pub headers: &'static [&'static str],
    /// The headers they may read.
    pub exposed: &'static [&'static str],
}

/// The rules for web pages, made anew when the configuration changes.
pub struct Pages {
    rules: PageRules,
    made: RwLock<Option<Made>>,
}

/// The rules, if there are any, beside the configuration that they were made of.
type Made = (Arc<Live>, Option<Arc<Cors>>);

/// Those that browsers ask for without need.
const SIMPLE_HEADERS: [HeaderName; 3] = [header::ACCEPT, header::ACCEPT_LANGUAGE, header::ORIGIN];

impl Pages {
    /// Of a dialect.
    pub fn new(rules: PageRules) -> Self {
        Self { rules, made: RwLock::default() }
    }

    /// The rules now; `None` if no page of elsewhere may do anything.
    pub fn rules(&self, live: &Arc<Live>) -> Option<Arc<Cors>> {
        let known = self.made.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, cors)) = known.filter(|(of, _)| Arc::ptr_eq(of, live)) {
            return cors;
        }
        let cors = live.cors.as_ref().map(|rules| Arc::new(self.rules.cors(rules)));
        *self.made.write().unwrap_or_else(PoisonError::into_inner) = Some((Arc::clone(live), cors.clone()));
        cors
    }
}

impl PageRules {
    /// The rules that a configuration asks for, ready to be applied.
    pub fn cors(&self, rules: &CorsRules) -> Cors {
        Cors::new(self.options(rules))
    }

    /// The rules that the configuration asks for, with the dialect's methods and headers where it names none.
    fn options(&self, rules: &CorsRules) -> CorsOptions {
        let own = || self.methods.iter().filter_map(|name| Method::from_bytes(name.as_bytes()).ok()).collect();
        let methods = rules.methods.as_ref().map(|names| names.iter().filter_map(|name| name.parse().ok()).collect());
        let headers = rules.headers.as_ref().map(|names| {
            names.iter().filter_map(|name| name.to_ascii_lowercase().parse().ok()).chain(SIMPLE_HEADERS).collect()
        });
        let named = |names: &[&'static str]| names.iter().map(|name| HeaderName::from_static(name)).collect();
        CorsOptions {
            origins: Origins::parse(&rules.origins),
            credentials: if rules.credentials.is_on() { Credentials::Allowed } else { Credentials::Refused },
            methods: methods.unwrap_or_else(own),
            headers: headers.unwrap_or_else(|| named(self.headers)),
            exposed: named(self.exposed),
            max_age: rules.max_age,
        }
    }
}
