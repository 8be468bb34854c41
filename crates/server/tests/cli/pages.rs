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
        "db list",
        "db info",
        "db delete",
        "db security get",
        "db security set",
        "db compact",
        "doc get",
        "doc put",
        "doc delete",
        "doc list",
        "user list",
        "user add",
        "user passwd",
        "user roles",
        "user delete",
        "admin list",
        "admin add",
        "admin delete",
        "backup verify",
        "user channels",
        "role",
        "sync",
        "explain",
    ];
    for command in with_examples {
        assert!(world.run(None, &format!("{command} --help")).out.contains("Examples:\n  "), "{command}");
    }
}

#[test]
fn a_wrong_command_line_is_told_in_the_form_that_was_asked_for() {
    let world = World::new();
    let ran = world.run(None, "backupp");
    assert_eq!((ran.code, ran.err.starts_with("error: unrecognized subcommand 'backupp'")), (2, true), "{ran:?}");
    for line in ["backupp --json", "--json db create", "doctor --json --data"] {
        let ran = world.run(None, line);
        let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
        let said = error["error"].as_str().unwrap();
        assert_eq!((ran.code, ran.out.as_str(), said.starts_with("error")), (2, "", false), "{line}: {said}");
    }
    assert!(world.run(None, "--version --json").well().out.starts_with("tidegate "));
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
