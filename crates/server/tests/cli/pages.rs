//! Help, completions, manual.

use crate::fixture::World;

#[test]
fn every_command_helps() {
    let world = World::new();
    insta::assert_snapshot!(world.run(None, "--help").well().out);
    let commands = [
        "db",
        "doc",
        "changes",
        "user",
        "admin",
        "role",
        "sync",
        "explain",
        "export",
        "import couchdb",
        "import ndjson",
        "backup",
        "restore",
        "doctor",
        "completions",
        "man",
    ];
    for command in commands {
        let help = world.run(None, &format!("{command} --help")).well().out;
        assert!(help.contains("--json"), "{help}");
    }
    let with_examples = [
        "changes",
        "export",
        "import couchdb",
        "import ndjson",
        "backup",
        "restore",
        "doctor",
        "db create",
        "user channels",
        "role",
        "sync",
        "explain",
    ];
    for command in with_examples {
        assert!(world.run(None, &format!("{command} --help")).out.contains("Examples:\n  tidegate "), "{command}");
    }
    assert_eq!(world.run(None, "backupp").code, 2);
}

#[test]
fn shells_complete_commands() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = world.run(None, &format!("completions {shell}")).well().out;
        assert!(text.contains("doctor") && text.contains("include-docs"), "{shell}");
    }
}

#[test]
fn there_is_a_page_for_each_command() {
    let world = World::new();
    assert!(world.run(None, "man").well().out.contains(".TH tidegate 1"));
    world.run(None, "man DIR/man1").well();
    for page in ["tidegate.1", "tidegate-backup-verify.1", "tidegate-import-couchdb.1", "tidegate-doctor.1"] {
        assert!(std::fs::read_to_string(world.path("man1").join(page)).unwrap().contains(".SH"), "{page}");
    }
}
