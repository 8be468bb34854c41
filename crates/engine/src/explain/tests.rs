//! Whatever a user sees is explained, and whatever it doesn't.

use super::{Sees, Source};
use crate::{
    Error, Explanation,
    fixture::{Site, doc, name, run},
};
use tidegate_types::Seq;

async fn explain(site: &Site, user: &str, id: &str) -> Explanation {
    site.db.explain(&name(user), &doc(id)).await.unwrap()
}

/// Sources in short words.
fn told(sources: &[Source]) -> String {
    let tell = |source: &Source| match source {
        Source::Everybody => "everybody".to_owned(),
        Source::Administrator => "admin".to_owned(),
        Source::Voucher(issuer) => issuer.clone(),
        Source::Documents(documents) => {
            let some: Vec<&str> = documents.some.iter().map(|id| id.as_str()).collect();
            format!("{} documents: {}", documents.count, some.join(","))
        }
        Source::Role { role, since, held, granted } => {
            format!("role {role} since {since}, held by [{}], granted by [{}]", told(held), told(granted))
        }
    };
    sources.iter().map(tell).collect::<Vec<_>>().join("; ")
}

#[test]
fn each_way_to_see_is_told() {
    run(async {
        let site = Site::new().await;
        let function = "function (doc) {
            channel(doc.channels); access(doc.to, doc.gives); role(doc.to, doc.roles);
            console.log('asked', doc._id);
        }";
        site.set_function(function).await;
        site.put_role("nurse", r#"{"admin_channels":["ward"]}"#).await;
        site.put_user("ada", r#"{"password":"secret","admin_channels":["a"]}"#).await;
        site.write("g1", r#""to":"ada","gives":["a","b"]"#).await.unwrap();
        site.write("g3", r#""to":"ada","gives":"b","roles":"role:nurse""#).await.unwrap();
        site.write("g4", r#""to":"role:nurse","gives":"b""#).await.unwrap();
        site.write("d", r#""channels":["a","b","ward","!","hers"]"#).await.unwrap();
        let found = explain(&site, "ada", "d").await;
        assert_eq!(found.verdict, Sees::Yes);
        let ways: Vec<String> = found
            .ways
            .iter()
            .map(|way| format!("{} since {}: {}", way.channel, way.since, told(&way.sources)))
            .collect();
        let expected = [
            "! since 0: everybody",
            "a since 2: admin; 1 documents: g1",
            "b since 3: 2 documents: g1,g3; role nurse since 4, held by [1 documents: g3], granted by [1 documents: g4]",
            "ward since 4: role nurse since 4, held by [1 documents: g3], granted by [admin]",
        ];
        assert_eq!(ways, expected);
        let document = found.document.unwrap();
        assert_eq!((document.channels.len(), document.seq, document.deleted), (5, Seq::new(6), false));
        let decides = found.decides.unwrap();
        assert_eq!((decides.channels.len(), decides.log[0].text.as_str()), (5, "asked d"));
        site.put_user("bob", r#"{"password":"secret","admin_channels":["*"]}"#).await;
        let found = explain(&site, "bob", "g1").await;
        assert_eq!((found.verdict, found.ways.len(), found.ways[0].channel.as_str()), (Sees::Yes, 1, "*"));
    });
}

#[test]
fn why_a_user_does_not_see_a_document_is_told() {
    run(async {
        let site = Site::new().await;
        site.put_user("ada", r#"{"password":"secret","admin_channels":["a"]}"#).await;
        site.put_user("eve", r#"{"password":"secret","admin_channels":["a"],"disabled":true}"#).await;
        site.write("a", r#""channels":["a"]"#).await.unwrap();
        site.write("b", r#""channels":["b"]"#).await.unwrap();
        site.write("none", "").await.unwrap();
        let check = async |user: &str, id: &str, expected: Sees| {
            let found = explain(&site, user, id).await;
            assert_eq!(found.verdict, expected, "{user} {id}");
            assert!(found.ways.is_empty() || expected == Sees::Yes);
            // What is explained is what holds.
            if found.user.is_some() && expected != Sees::Disabled {
                let seen = site.seen_by(user).await.get(&doc(id), &crate::Which::Winner, crate::Detail::Plain).await;
                assert_eq!(seen.is_ok(), expected == Sees::Yes, "{user} {id}");
            }
        };
        check("ada", "a", Sees::Yes).await;
        check("ada", "b", Sees::NoCommonChannel).await;
        check("ada", "none", Sees::InNoChannel).await;
        check("ada", "nothing", Sees::NoDocument).await;
        check("eve", "a", Sees::Disabled).await;
        check("nobody", "a", Sees::NoUser).await;
        site.write("a", r#""channels":["b"]"#).await.unwrap();
        check("ada", "a", Sees::Stub).await;
        let guest = explain(&site, "GUEST", "b").await;
        assert_eq!(guest.verdict, Sees::Disabled);
        // What was decided before the function of now is told beside what it decides.
        site.set_function("function (doc) { throw({forbidden: 'none'}); }").await;
        let found = explain(&site, "ada", "b").await;
        assert_eq!(found.document.unwrap().channels[0].as_str(), "b");
        assert!(found.decides.unwrap().exception.is_some());
        let ada = site.seen_by("ada").await;
        assert!(matches!(ada.explain(&name("ada"), &doc("a")).await, Err(Error::Access(_))));
    });
}
