//! Backups: what is restored is what was there, under new ids; whatever is wrong with a file is noticed.

use crate::{
    fixture::{Folder, attachment, check, edit, name, read, replicated, stage, write},
    tickets::ticket,
};
use std::time::Duration;
use tidegate_kv::{Direction, EmbeddedOptions, KeyRange, Kv};
use tidegate_store::{BackupHead, Damage, Decoder, Item, RestoreError, Store, restore};

const SERVER: &str = "0123456789abcdef0123456789abcdef";

async fn backup(store: &Store) -> Vec<u8> {
    let mut backup = store.backup(SERVER, "0.1.0", Duration::from_secs(7)).await.unwrap();
    let mut file = Vec::new();
    while let Some(piece) = backup.next().await.unwrap() {
        file.extend_from_slice(&piece);
    }
    file
}

/// Reads a file in pieces of so many bytes.
fn decode(file: &[u8], piece: usize) -> Result<Vec<Item>, Damage> {
    let (mut decoder, mut items) = (Decoder::default(), Vec::new());
    for bytes in file.chunks(piece) {
        decoder.feed(bytes);
        while let Some(item) = decoder.take()? {
            items.push(item);
        }
    }
    let summary = decoder.finish()?;
    assert!(matches!(items.last(), Some(Item::End(end)) if *end == summary));
    Ok(items)
}

async fn rows(kv: &Kv) -> Vec<(Vec<u8>, Vec<u8>)> {
    let rows = kv.snapshot().unwrap().scan(KeyRange::all(), Direction::Forward, usize::MAX).await.unwrap();
    rows.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

#[tokio::test]
async fn what_is_restored_is_what_was_there() {
    let folder = Folder::new();
    let store = folder.open().await;
    let db = store.create(&name("db"), 3).await.unwrap();
    store.create(&name("empty"), 4).await.unwrap();
    store.put_setting("config", b"[x]").await.unwrap();
    let content = vec![9; 700_000];
    let staged = stage(&db, &content.clone().into()).await;
    let digest = staged.digest();
    write(&db, edit("a", None, "\"v\":1")).await.unwrap();
    write(&db, tidegate_store::Edit { attachments: vec![attachment("x", staged)], ..edit("b", None, "") })
        .await
        .unwrap();
    write(&db, replicated("a", "3-c 2-b 1-a")).await.unwrap();
    db.put_ticket(ticket(1, "ada", 9)).await.unwrap();
    let file = backup(&store).await;
    // What comes after is not in it.
    write(&db, edit("c", None, "\"v\":3")).await.unwrap();

    let temp = tempfile::tempdir().unwrap();
    let dest = temp.path().join("restored");
    let mut told = 0;
    let summary = restore(&dest, file.as_slice(), |rows| told += rows).unwrap();
    assert_eq!(summary.rows, told);
    let restored = Store::open(Kv::open_embedded(EmbeddedOptions::new(&dest)).await.unwrap()).await.unwrap();
    assert_eq!(restored.names().await.unwrap(), [name("db"), name("empty")]);
    let copy = restored.database(&name("db")).await.unwrap();
    assert_ne!(copy.uuid(), db.uuid());
    check(&copy).await;
    assert_eq!(read(&copy, &digest).await, content);
    assert_eq!(restored.setting("config").await.unwrap().unwrap(), "[x]");
    assert_eq!(copy.update_seq().get(), 3);
    assert_eq!(copy.ticket(&[1; 32]).await.unwrap(), Some(ticket(1, "ada", 9)));
    // But for the ids, row for row.
    let without_meta = |mut rows: Vec<(Vec<u8>, Vec<u8>)>| {
        rows.retain(|(key, _)| key.get(5) != Some(&b'm'));
        rows
    };
    let again = decode(&file, 4_096).unwrap();
    let in_file = again.iter().filter_map(|item| match item {
        Item::Rows(rows) => Some(rows.iter().map(|(key, value)| (key.to_vec(), value.to_vec()))),
        Item::Head(_) | Item::End(_) => None,
    });
    assert_eq!(without_meta(rows(restored.storage()).await), without_meta(in_file.flatten().collect()));
    let head =
        BackupHead { server_id: SERVER.to_owned(), program: "0.1.0".to_owned(), created_s: 7, rows: summary.rows };
    assert_eq!(again.first(), Some(&Item::Head(head)));
    assert!(matches!(restore(&dest, file.as_slice(), |_| ()), Err(RestoreError::Storage(_))));
}

#[tokio::test]
async fn a_file_that_is_cut_or_altered_is_refused() {
    let folder = Folder::new();
    let store = folder.open().await;
    let db = store.create(&name("db"), 3).await.unwrap();
    write(&db, edit("a", None, "\"v\":1")).await.unwrap();
    let file = backup(&store).await;
    let whole = decode(&file, usize::MAX).unwrap();
    assert_eq!(decode(&file, 1).unwrap(), whole);
    for length in 0..file.len() {
        assert_eq!(decode(&file[..length], 64).unwrap_err(), Damage::CutShort(length as u64));
    }
    for at in 0..file.len() {
        let mut altered = file.clone();
        altered[at] ^= 0x10;
        decode(&altered, 64).unwrap_err();
    }
    decode(&[file.as_slice(), b"x"].concat(), 64).unwrap_err();
    assert_eq!(decode(b"PK\x03\x04", 64).unwrap_err(), Damage::NotABackup);
    assert_eq!(decode(b"tidegate-backup\n\0\0\0\x02", 64).unwrap_err(), Damage::NewerFormat { found: 2 });

    let temp = tempfile::tempdir().unwrap();
    let dest = temp.path().join("restored");
    let cut = restore(&dest, &file[..file.len() - 1], |_| ());
    assert!(matches!(cut, Err(RestoreError::Damage(Damage::CutShort(_)))), "{cut:?}");
    assert!(!dest.exists());
}

proptest::proptest! {
    #[test]
    fn noise_is_damage_and_nothing_worse(noise: Vec<u8>, piece in 1..40_usize) {
        let start = b"tidegate-backup\n\0\0\0\x01".as_slice();
        for file in [noise.clone(), [start, &noise].concat()] {
            proptest::prop_assert_eq!(decode(&file, usize::MAX).is_ok(), false);
            proptest::prop_assert!(decode(&file, piece).is_err());
        }
    }
}

/// A block that is taken out whole, with its checksum, is missed.
#[tokio::test]
async fn a_missing_block_is_noticed() {
    let folder = Folder::new();
    let store = folder.open().await;
    let db = store.create(&name("db"), 3).await.unwrap();
    for number in 0..40 {
        write(&db, edit(&format!("d{number}"), None, &format!("\"v\":\"{}\"", "x".repeat(20_000)))).await.unwrap();
    }
    let file = backup(&store).await;
    let blocks = blocks(&file);
    assert!(blocks.len() > 4, "{blocks:?}");
    for block in &blocks[1..blocks.len() - 1] {
        let without = [&file[..block.start], &file[block.end..]].concat();
        assert!(matches!(decode(&without, 4_096), Err(Damage::Altered { .. })));
    }
    let swapped =
        [&file[..blocks[1].start], &file[blocks[2].clone()], &file[blocks[1].clone()], &file[blocks[2].end..]];
    assert!(matches!(decode(&swapped.concat(), 4_096), Err(Damage::Altered { .. })));
}

/// Where the blocks lie. Source: the header of `backup`.
fn blocks(file: &[u8]) -> Vec<std::ops::Range<usize>> {
    let (mut blocks, mut at) = (Vec::new(), 20);
    while at < file.len() {
        let length = u32::from_be_bytes(file[at + 1..at + 5].try_into().unwrap());
        let end = at + 9 + usize::try_from(length).unwrap();
        blocks.push(at..end);
        at = end;
    }
    blocks
}
