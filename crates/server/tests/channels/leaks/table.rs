//! What is asked, and what may come of it.

use crate::site::Door;

/// One line a request. First who has the route: CouchDB's dialect (`C`), Sync Gateway's (`G`) or both (`B`). Then
/// what is expected: `+` those who have the channel are told something, `F` others are forbidden, `!` those who have it
/// don't ask, as it would change things; `~` as the request speaks of what only those can know who had it, nobody is
/// surprised that it tells existence. `ID`, `REV`, `OLD` are the document's, `ATT` its attachment's name, `DIG` its
/// digest. Behind the bars: the body, and a header.
const TABLE: &str = r#"
B F+ GET /db/ID
B F+ GET /db/ID?rev=REV
B F+ GET /db/ID?rev=OLD
B F+ GET /db/ID?revs=true
B F+ GET /db/ID?rev=REV&revs=true
B F+ GET /db/ID?attachments=true
C F+ GET /db/ID?attachments=true || accept: multipart/related
G +  GET /db/ID?attachments=true || accept: multipart/related
B F+ GET /db/ID?attachments=true&atts_since=["OLD"]
B F+ GET /db/ID || if-none-match: "REV"
B F+ GET /db/ID || if-none-match: "1-none"
B +  GET /db/ID?open_revs=all
B +  GET /db/ID?open_revs=all || accept: application/json
B +  GET /db/ID?open_revs=all&revs=true || accept: application/json
B +  GET /db/ID?open_revs=["REV","OLD"] || accept: application/json
B +  GET /db/ID?open_revs=["REV","OLD"]&attachments=true
B F+ GET /db/ID/ATT
B F+ GET /db/ID/ATT?rev=REV
B F+ GET /db/ID/ATT?rev=OLD
B F+ GET /db/ID/ATT || range: bytes=0-3
B F+ GET /db/ID/ATT || if-none-match: "DIG"
B F  GET /db/ID/none
B F  GET /db/ID?rev=9-a
G F+ GET /db/ID/ATT?meta=true
G F+ GET /db/ID?show_cv=true
C F+ GET /db/ID?revs_info=true
C F+ GET /db/ID?conflicts=true
C F+ GET /db/ID?deleted_conflicts=true&local_seq=true
C F+ GET /db/ID?meta=true
C F+ GET /db/ID?att_encoding_info=true
C F+ GET /db/ID?rev=OLD&latest=true
C +  GET /db/ID?open_revs=["OLD"]&latest=true || accept: application/json
C F! COPY /db/ID || destination: copied
C F! COPY /db/ID?rev=OLD || destination: copied

B +  GET /db/_all_docs
B +  GET /db/_all_docs?include_docs=true
B +  GET /db/_all_docs?include_docs=true&revs=true&update_seq=true
B +  GET /db/_all_docs?startkey="ID"&endkey="ID"
B +  GET /db/_all_docs?key="ID"
B +  GET /db/_all_docs?keys=["ID"]&include_docs=true
B +  POST /db/_all_docs | {"keys":["ID"]}
B +  POST /db/_all_docs?include_docs=true | {"keys":["ID","none"]}
B    GET /db/_all_docs?limit=1
G    GET /db/_all_docs?access=true&channels=true
C    GET /db/_all_docs?skip=1&limit=1
C +  GET /db/_all_docs?descending=true&include_docs=true&attachments=true&conflicts=true&att_encoding_info=true
C +  POST /db/_all_docs/queries | {"queries":[{},{"keys":["ID"],"include_docs":true},{"key":"ID"}]}
C    GET /db/_design_docs
C    GET /db/_design_docs?include_docs=true
C    POST /db/_design_docs | {"keys":["_design/des-k7q2","ID"]}
C    POST /db/_design_docs/queries | {"queries":[{"include_docs":true}]}
C    GET /db/_local_docs?include_docs=true
C    POST /db/_local_docs?include_docs=true | {"keys":["_local/none"]}
C    POST /db/_local_docs/queries | {"queries":[{"include_docs":true}]}
B    GET /db/_local/chk-k7q2
B    GET /db/_design/des-k7q2
C    GET /db/_design/des-k7q2/att
C    GET /db/_design/des-k7q2/_view/v
C    GET /db/_design/des-k7q2/_info
G    GET /db/_design/des-k7q2/_view/v
C    POST /db/_find | {"selector":{"_id":"ID"}}
C    POST /db/_explain | {"selector":{"_id":"ID"}}
C    GET /db/_index
C    GET /db/_purged_infos
C    GET /db/_purged_infos_limit
C !  POST /db/_purge | {"ID":["REV"]}
G !  POST /db/_purge | {"ID":["*"]}
G    GET /db/_raw/ID
G    GET /db/_revtree/ID
G    GET /db/_dumpchannel/x
G    GET /db/_config
G    GET /db/_config/sync
G    GET /db/_user/
G    GET /db/_user/bob
G    GET /db/_session
C    GET /_session
B    GET /db/
C    GET /_all_dbs
C    POST /_dbs_info | {"keys":["db"]}
C    GET /_db_updates
C    GET /_active_tasks
C    GET /db/_revs_limit
C    GET /db/_security
C    GET /db/_shards

B +  GET /db/_changes
B +  GET /db/_changes?include_docs=true
B +  GET /db/_changes?style=all_docs
B +  GET /db/_changes?style=all_docs&include_docs=true&conflicts=true&attachments=true&att_encoding_info=true
B +  GET /db/_changes?limit=50&since=1
B    GET /db/_changes?limit=1
B    GET /db/_changes?since=now&feed=longpoll&timeout=1
B +  GET /db/_changes?feed=longpoll&timeout=1
B +  GET /db/_changes?feed=continuous&timeout=1&include_docs=true
C +  GET /db/_changes?feed=eventsource&timeout=1&include_docs=true
B +  GET /db/_changes?filter=_doc_ids&doc_ids=["ID"]
B +  GET /db/_changes?filter=_doc_ids&doc_ids=["ID"]&include_docs=true&style=all_docs
B +  POST /db/_changes?filter=_doc_ids | {"doc_ids":["ID"]}
B +  POST /db/_changes | {"include_docs":true}
G +  POST /db/_changes | {"filter":"_doc_ids","doc_ids":["ID"],"include_docs":true}
G +  GET /db/_changes?active_only=true&include_docs=true
G +  GET /db/_changes?revocations=true&include_docs=true
G +  GET /db/_changes?version_type=cv&style=all_docs
G +  GET /db/_changes?filter=sync_gateway/bychannel&channels=x&include_docs=true
G +  GET /db/_changes?filter=sync_gateway/bychannel&channels=x,y,*,!
C    GET /db/_changes?descending=true&include_docs=true
C +  POST /db/_changes?filter=_selector&include_docs=true | {"selector":{"_id":{"$gt":null}}}
C +  POST /db/_changes?filter=_selector&style=all_docs | {"selector":{"_id":"ID"}}
C    GET /db/_changes?filter=_design
C    GET /db/_changes?filter=des-k7q2/all&include_docs=true
C    GET /db/_changes?filter=_view&view=des-k7q2/v&style=all_docs
C    GET /db/_changes?filter=des-k7q2/throws

B +  POST /db/_bulk_get | {"docs":[{"id":"ID"}]}
B +  POST /db/_bulk_get?revs=true&attachments=true | {"docs":[{"id":"ID"},{"id":"ID","rev":"REV"},{"id":"ID","rev":"OLD"},{"id":"ID","rev":"9-a"}]}
B +  POST /db/_bulk_get?revs=true&attachments=true | {"docs":[{"id":"ID","rev":"REV"},{"id":"ID","rev":"OLD"}]} | accept: application/json
B +  POST /db/_bulk_get?revs=true | {"docs":[{"id":"ID","rev":"REV","atts_since":["OLD"]}]} | accept: multipart/mixed
C +  POST /db/_bulk_get?latest=true | {"docs":[{"id":"ID","rev":"OLD"}]}
B    POST /db/_revs_diff | {"ID":["REV","OLD","9-a"]}
C    POST /db/_missing_revs | {"ID":["REV","OLD","9-a"]}

B ~! PUT /db/ID | {}
B ~! PUT /db/ID?rev=OLD | {}
B ~! DELETE /db/ID
B ~! DELETE /db/ID?rev=OLD
B ~! PUT /db/ID/ATT?rev=OLD | {}
B ~! PUT /db/ID/ATT | {}
B ~! DELETE /db/ID/ATT?rev=OLD
B ~! DELETE /db/ID/none?rev=REV
B ~! POST /db/_bulk_docs | {"docs":[{"_id":"ID"},{"_id":"ID","_rev":"OLD"}]}
B ~! PUT /db/ID | {"_rev":"REV","channels":["y"],"_attachments":{"ATT":{"stub":true,"digest":"DIG"}}}
B ~! PUT /db/stolen | {"channels":["y"],"_attachments":{"ATT":{"stub":true,"digest":"DIG","length":7}}}
B ~! PUT /db/stolen?new_edits=false | {"_rev":"1-a","channels":["y"],"_attachments":{"ATT":{"stub":true,"revpos":1,"digest":"DIG"}}}
B ~! POST /db/_bulk_docs | {"docs":[{"_id":"ID","_rev":"REV","channels":["y"],"_attachments":{"ATT":{"stub":true,"digest":"DIG"}}}]}
"#;

pub(crate) struct Row {
    pub(crate) dialects: &'static str,
    pub(crate) flags: &'static str,
    pub(crate) line: &'static str,
    pub(crate) body: &'static str,
    pub(crate) header: Option<(&'static str, &'static str)>,
}

impl Row {
    pub(crate) fn parse(text: &'static str) -> Self {
        let mut parts = text.splitn(3, '|');
        let head = parts.next().unwrap();
        let (dialects, rest) = head.split_at(1);
        let (flags, line) =
            rest.trim().split_at(rest.trim().find(|c: char| c.is_ascii_uppercase() && c != 'F').unwrap());
        let body = parts.next().unwrap_or_default().trim();
        let header = parts.next().and_then(|header| header.trim().split_once(": "));
        Self { dialects, flags: flags.trim(), line: line.trim(), body, header }
    }

    pub(crate) fn is_of(&self, door: Door) -> bool {
        match self.dialects {
            "C" => door == Door::Couch,
            "G" => door == Door::Gateway,
            _ => true,
        }
    }

    pub(crate) fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }
}

pub(crate) fn rows() -> Vec<Row> {
    TABLE.lines().filter(|line| !line.is_empty()).map(Row::parse).collect()
}

pub(crate) fn methods(row: &Row) -> Vec<&'static str> {
    let method = row.line.split_once(' ').unwrap().0;
    if method == "GET" && !row.line.contains("_changes") { vec![method, "HEAD"] } else { vec![method] }
}
