//! Where a session may go on: the newest place that both sides remember.

use serde_json::Value;

use crate::{Checkpoint, HistoryEntry, SourceSeq};

/// What both sides remember of earlier sessions.
#[derive(Clone, Copy, Debug)]
pub struct Peers<'a> {
    /// The source's checkpoint.
    pub source: Option<&'a Checkpoint>,
    /// The target's checkpoint.
    pub target: Option<&'a Checkpoint>,
    /// How far the source is now.
    pub update_seq: &'a SourceSeq,
}

/// Where to go on, and what to remember of earlier sessions.
#[derive(Clone, Debug, PartialEq)]
pub struct Ancestry {
    /// Everything up to here is on the target; [`SourceSeq::zero`] if nothing is sure.
    pub seq: SourceSeq,
    /// Entries that stay in the history.
    pub history: Vec<HistoryEntry>,
}

/// The newest place that both sides remember.
///
/// Checkpoints of one session agree. Otherwise one write of the two was lost, or a side was restored from a backup: the
/// newest session that is in both histories tells. A source that counts with plain numbers and is now behind what it
/// once told was itself set back, and its numbers may by now mean other changes: everything is looked at again. (Sources
/// with opaque sequences see to that themselves when they are asked.) Source:
/// `couch_replicator_scheduler_job:compare_replication_logs`, `spec/couch.md` 3.8.
pub fn common_ancestry(peers: Peers<'_>) -> Ancestry {
    let found = compare(peers.source, peers.target).unwrap_or_else(Ancestry::none);
    let told = found.seq.as_number().zip(peers.update_seq.as_number());
    if told.is_some_and(|(seq, update_seq)| seq > update_seq) { Ancestry::none() } else { found }
}

impl Ancestry {
    fn none() -> Self {
        Self { seq: SourceSeq::zero(), history: Vec::new() }
    }
}

fn compare(source: Option<&Checkpoint>, target: Option<&Checkpoint>) -> Option<Ancestry> {
    let (source, target) = (source?, target?);
    if source.session_id == target.session_id && source.session_id.is_some() {
        let seq = lower(&source.source_last_seq, &target.source_last_seq).clone();
        return Some(Ancestry { seq, history: source.history.clone() });
    }
    compare_histories(&source.history, &target.history)
}

/// The source's, unless plain numbers show that the target stands at an earlier place of the same session: it may have
/// been restored from a backup.
fn lower<'a>(source: &'a SourceSeq, target: &'a SourceSeq) -> &'a SourceSeq {
    let behind = source.as_number().zip(target.as_number()).is_some_and(|(source, target)| target < source);
    if behind { target } else { source }
}

/// Goes down both histories at once, as CouchDB does.
fn compare_histories(mut source: &[HistoryEntry], mut target: &[HistoryEntry]) -> Option<Ancestry> {
    while let (Some((ours, older_ours)), Some((theirs, older_theirs))) = (source.split_first(), target.split_first()) {
        if remembers(target, ours.session_id.as_ref()) {
            return Some(Ancestry { seq: ours.recorded_seq.clone(), history: older_ours.to_vec() });
        }
        if remembers(older_ours, theirs.session_id.as_ref()) {
            return Some(Ancestry { seq: theirs.recorded_seq.clone(), history: older_theirs.to_vec() });
        }
        (source, target) = (older_ours, older_theirs);
    }
    None
}

fn remembers(history: &[HistoryEntry], session: Option<&Value>) -> bool {
    session.is_some() && history.iter().any(|entry| entry.session_id.as_ref() == session)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// `s3@30 s1@10` is a checkpoint of the session `s3` at 30, with `s1` at 10 before it; the empty text is none.
    fn checkpoint(text: &str) -> Option<Checkpoint> {
        let entries: Vec<_> = text.split_whitespace().map(|entry| entry.split_once('@').unwrap()).collect();
        let (session, seq) = entries.first()?;
        let number = |seq: &str| serde_json::from_str::<Value>(seq).unwrap_or_else(|_| json!(seq));
        let history = entries.iter().map(|(id, seq)| json!({"session_id": id, "recorded_seq": number(seq)}));
        let history: Vec<_> = history.collect();
        let body = json!({"session_id": session, "source_last_seq": number(seq), "history": history});
        Some(Checkpoint::from_json(&body))
    }

    #[track_caller]
    fn check(source: &str, target: &str, update_seq: &str, expected: &str) {
        let (ours, theirs) = (checkpoint(source), checkpoint(target));
        let update_seq = SourceSeq::from_json(&serde_json::from_str(update_seq).unwrap());
        let peers = Peers { source: ours.as_ref(), target: theirs.as_ref(), update_seq: &update_seq };
        let found = common_ancestry(peers);
        let history: Vec<_> = found.history.iter().map(|e| e.session_id.as_ref().unwrap().as_str().unwrap()).collect();
        assert_eq!(format!("{} {}", found.seq.to_since(), history.join(",")).trim(), expected, "{source} / {target}");
    }

    #[test]
    fn ancestry() {
        // Nothing remembered on one side or both.
        check("", "", "99", "0");
        check("s1@10", "", "99", "0");
        check("", "s1@10", "99", "0");
        // The last checkpoint reached both sides.
        check("s1@10", "s1@10", "99", "10 s1");
        check("s2@20 s1@10", "s2@20 s1@10", "99", "20 s2,s1");
        // The same session's checkpoints differ.
        check("s1@10", "s1@8", "99", "8 s1");
        check("s1@8", "s1@10", "99", "8 s1");
        check("s1@10-x", "s1@8-x", "99", "10-x s1");
        // It reached the source only, or the target only.
        check("s2@20 s1@10", "s1@10", "99", "10");
        check("s3@30 s2@20 s1@10", "s2@20 s1@10", "99", "20 s1");
        check("s1@10", "s2@20 s1@10", "99", "10");
        check("s2@20 s1@10", "s3@30 s2@20 s1@10", "99", "20 s1");
        // Both went on without each other: the newest they share.
        check("s4@40 s2@20 s1@10", "s3@30 s2@20 s1@10", "99", "20 s1");
        check("s4@40", "s3@30", "99", "0");
        // One session may have several entries: the newest that is on both sides counts.
        check("s2@25 s2@20 s1@10", "s3@30 s2@20 s1@10", "99", "25 s2,s1");
        // Opaque sequences are never compared.
        check("s1@10-x", "s1@10-x", "\"3-y\"", "10-x s1");
        // A source that counts with numbers and was set back starts again.
        check("s1@10", "s1@10", "9", "0");
        check("s2@20 s1@10", "s1@10", "9", "0");
        check("s1@10", "s1@10", "10", "10 s1");
    }

    #[test]
    fn two_checkpoints_of_no_session_share_nothing() {
        let anonymous = Checkpoint::from_json(&json!({"source_last_seq": 10, "history": [{"recorded_seq": 10}]}));
        let update_seq = SourceSeq::from_json(&json!(99));
        let peers = Peers { source: Some(&anonymous), target: Some(&anonymous), update_seq: &update_seq };
        assert!(common_ancestry(peers).seq.is_zero());
    }
}
