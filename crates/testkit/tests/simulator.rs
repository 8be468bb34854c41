//! The simulator tested on a toy: it must see every change, and it must find the two classic mistakes.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tidegate_testkit::powercut::{
    ContentStrategy, Cut, Error, Focus, Model, NameStrategy, Random, Recording, Run, Simulator, cuts, scratch,
};

/// A folder to record in, and room beside it.
struct Place {
    scratch: TempDir,
}

impl Place {
    fn new() -> Self {
        let scratch = tempfile::tempdir_in(scratch()).unwrap();
        fs::create_dir(scratch.path().join("root")).unwrap();
        Self { scratch }
    }

    fn root(&self) -> PathBuf {
        self.scratch.path().join("root")
    }

    fn rebuilt(&self) -> PathBuf {
        self.scratch.path().join("rebuilt")
    }

    fn toy(&self, kind: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_powercut-toy"));
        command.arg(kind).arg(self.root());
        command
    }

    fn record(&self, kind: &str) -> Recording {
        Recording::run(self.toy(kind), &self.root()).unwrap()
    }

    /// Compiles and runs a program that does things which safe Rust cannot.
    fn record_c(&self, body: &str) -> Error {
        let programs = tempfile::tempdir().unwrap();
        let (source, program) = (programs.path().join("program.c"), programs.path().join("program"));
        fs::write(&source, format!("{C_HEADER}int main(int n, char **args) {{ chdir(args[1]); {body} return 0; }}"))
            .unwrap();
        assert!(Command::new("cc").arg("-w").arg("-o").arg(&program).arg(&source).status().unwrap().success());
        let mut command = Command::new(&program);
        command.arg(self.root());
        Recording::run(command, &self.root()).unwrap_err()
    }
}

const C_HEADER: &str = "#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
";

fn snapshot(folder: &Path) -> BTreeSet<(PathBuf, Option<Vec<u8>>)> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let content = if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            None
        } else {
            Some(fs::read(&path).unwrap())
        };
        found.insert((path.strip_prefix(folder).unwrap().to_path_buf(), content));
    }
    found
}

/// Rebuilds at every position, in every model, and counts the folders that `judge` refuses.
fn try_everywhere(
    place: &Place,
    recording: &Recording,
    judge: impl Fn(&Path, &Simulator) -> bool,
) -> BTreeMap<Model, usize> {
    let mut refused = BTreeMap::from(Model::ALL.map(|model| (model, 0)));
    let mut simulator = Simulator::new(recording);
    for position in 0..=recording.len() {
        simulator.advance_to(position).unwrap();
        for (model, refused) in &mut refused {
            for variant in 0..6 {
                let cut = Cut::variant(*model, variant, position as u64);
                simulator.rebuild(&place.rebuilt(), &cut).unwrap();
                *refused += usize::from(!judge(&place.rebuilt(), &simulator));
            }
        }
    }
    refused
}

#[test]
fn replaying_everything_gives_the_folder() {
    let place = Place::new();
    fs::create_dir(place.root().join("before")).unwrap();
    fs::write(place.root().join("before").join("file"), vec![1; 9_999]).unwrap();
    fs::write(place.root().join("was-there"), b"").unwrap();
    let recording = place.record("everything");
    let mut simulator = Simulator::new(&recording);
    simulator.advance_to(recording.len()).unwrap();
    for model in Model::ALL {
        let cut = Cut { model, content: ContentStrategy::Everything, names: NameStrategy::Everything, seed: 1 };
        simulator.rebuild(&place.rebuilt(), &cut).unwrap();
        assert_eq!(snapshot(&place.rebuilt()), snapshot(&place.root()), "{cut}");
    }
    // Nothing was synced, so nothing needs to be there but what was there before.
    let cut = Cut { model: Model::Strict, content: ContentStrategy::Nothing, names: NameStrategy::Nothing, seed: 1 };
    simulator.rebuild(&place.rebuilt(), &cut).unwrap();
    let names: Vec<_> = snapshot(&place.rebuilt()).into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, ["", "before", "before/file", "was-there"].map(PathBuf::from));
}

#[test]
fn equal_cuts_give_equal_folders() {
    let place = Place::new();
    let recording = place.record("append");
    let mut simulator = Simulator::new(&recording);
    simulator.advance_to(recording.len() / 2).unwrap();
    for variant in 0..50 {
        let cut = Cut::variant(Model::Strict, variant, 5);
        simulator.rebuild(&place.rebuilt(), &cut).unwrap();
        let first = snapshot(&place.rebuilt());
        simulator.rebuild(&place.rebuilt(), &cut).unwrap();
        assert_eq!(snapshot(&place.rebuilt()), first, "{cut}");
    }
}

/// Whether the toy's log holds every acknowledged line, whole.
fn lines_are_there(folder: &Path, simulator: &Simulator) -> bool {
    let found = fs::read(folder.join("log")).unwrap_or_default();
    let expected: String = (1..=simulator.acknowledged(0)).map(|number| format!("{number:06}").repeat(117)).collect();
    found.starts_with(expected.as_bytes())
}

#[test]
fn acknowledging_before_the_sync_is_caught() {
    let place = Place::new();
    let refused = try_everywhere(&place, &place.record("append-too-early"), lines_are_there);
    assert!(refused.values().all(|count| *count > 0), "{refused:?}");
    let place = Place::new();
    let refused = try_everywhere(&place, &place.record("append"), lines_are_there);
    assert!(refused.values().all(|count| *count == 0), "{refused:?}");
}

/// Whether the toy's file holds the acknowledged number, or the one in flight.
fn number_is_there(folder: &Path, simulator: &Simulator) -> bool {
    let found = fs::read_to_string(folder.join("current")).unwrap_or("0".to_owned());
    let acknowledged = simulator.acknowledged(0);
    found == acknowledged.to_string() || (simulator.in_flight() && found == (acknowledged + 1).to_string())
}

#[test]
fn a_rename_without_syncing_the_folder_is_caught() {
    let place = Place::new();
    let refused = try_everywhere(&place, &place.record("rename-without-sync"), number_is_there);
    assert!(refused.values().all(|count| *count > 0), "{refused:?}");
    let place = Place::new();
    let refused = try_everywhere(&place, &place.record("rename"), number_is_there);
    assert!(refused.values().all(|count| *count == 0), "{refused:?}");
}

#[test]
fn unsynced_content_is_torn_in_every_way() {
    let place = Place::new();
    let recording = place.record("append");
    let mut simulator = Simulator::new(&recording);
    let mut random = Random::new(3);
    let mut outcomes = BTreeSet::new();
    for position in cuts(&recording, &mut random, 20, Focus::InsideCommits) {
        simulator.advance_to(position).unwrap();
        for seed in 0..20 {
            for content in ContentStrategy::ALL {
                let cut = Cut { model: Model::Strict, content, names: NameStrategy::Nothing, seed };
                simulator.rebuild(&place.rebuilt(), &cut).unwrap();
                let log = fs::read(place.rebuilt().join("log")).unwrap();
                let acknowledged = usize::try_from(simulator.acknowledged(0)).unwrap() * 702;
                let tail = log.get(acknowledged..).unwrap();
                let whole = tail.len() == 702 && !tail.contains(&0);
                outcomes.insert((tail.is_empty(), whole, tail.contains(&0)));
            }
        }
    }
    // Nothing, the whole line, a line with a hole, a line cut short.
    assert_eq!(outcomes.len(), 4, "{outcomes:?}");
}

#[test]
fn a_killed_process_leaves_what_it_wrote_and_another_goes_on() {
    let place = Place::new();
    let run = Run { stop_after: Some(60), ..Run::default() };
    let mut recording = Recording::run_with(place.toy("append"), &place.root(), &run).unwrap();
    assert_eq!(recording.len(), 60);
    recording.resume(place.toy("append"), &Run::default()).unwrap();
    assert!(recording.len() > 200);
}

#[test]
fn what_cannot_be_followed_fails_the_run() {
    let unsupported = [
        (
            "int fd = open(\"f\", O_RDWR | O_CREAT, 0600); ftruncate(fd, 9); mmap(0, 9, 3, MAP_SHARED, fd, 0);",
            "shared writable mmap",
        ),
        ("open(\".\", O_TMPFILE | O_RDWR, 0600);", "open(O_TMPFILE)"),
        ("open(\"f\", O_CREAT | O_RDWR | O_SYNC, 0600);", "open(O_DSYNC)"),
        ("symlink(\"to\", \"from\");", "symlink"),
    ];
    for (program, call) in unsupported {
        let Error::Unsupported { calls } = Place::new().record_c(program) else { panic!("{call} went unnoticed") };
        assert_eq!(calls, [call]);
    }
}

#[test]
fn changes_by_raw_system_calls_are_found_by_comparing() {
    let incomplete = [
        (
            "int fd = open(\"f\", O_RDWR | O_CREAT, 0600); syscall(SYS_write, fd, \"hidden\", 6);",
            "has 6 bytes, the log gives 0",
        ),
        ("syscall(SYS_openat, AT_FDCWD, \"f\", O_RDWR | O_CREAT, 0600);", "was never created in the log"),
        (
            "close(open(\"f\", O_RDWR | O_CREAT, 0600)); syscall(SYS_unlinkat, AT_FDCWD, \"f\", 0);",
            "was never removed in the log",
        ),
    ];
    for (program, expected) in incomplete {
        let Error::Incomplete { path, reason } = Place::new().record_c(program) else { panic!("{expected}") };
        assert_eq!((path.to_str().unwrap(), reason.as_str()), ("f", expected));
    }
}

#[test]
fn a_failing_workload_is_reported_with_its_output() {
    let place = Place::new();
    let error = Recording::run(place.toy("fail"), &place.root()).unwrap_err();
    assert!(matches!(&error, Error::Workload { stderr, .. } if stderr.contains("failed as told")), "{error}");
    fs::write(place.root().with_extension("other"), b"").unwrap();
    let error = Recording::run(place.toy("outside"), &place.root()).unwrap_err();
    assert!(error.to_string().contains("rename across the folder's border"), "{error}");
}
