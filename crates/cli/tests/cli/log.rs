//! What `-v`, `-vv` and `HOOPY_LOG` write to standard error, and that nothing is written without them.

use std::process::Command;

use hoopy_testkit::Home;

fn stderr(command: &mut Command) -> String {
    String::from_utf8(command.output().unwrap().stderr).unwrap()
}

#[test]
fn steps_are_logged_with_v_and_each_piece_of_work_with_two() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    home.small("s");
    let quiet = stderr(&mut home.command(&["build", "s"]));
    assert!(!quiet.contains("step{") && !quiet.contains("import{"), "{quiet}");
    let steps = stderr(&mut home.command(&["build", "s", "-v", "--store", "one"]));
    assert!(steps.contains(r#"step{what="import"}"#) && !steps.contains("import{what="), "{steps}");
    let all = stderr(&mut home.command(&["build", "s", "-vv", "--store", "two"]));
    assert!(all.contains(r#"import{what="musl-"#) && all.contains("compress{layers="), "{all}");
}

#[test]
fn a_filter_chooses_what_is_logged() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    home.small("s");
    let some = stderr(home.command(&["build", "s"]).env("HOOPY_LOG", "hoopy_store=debug"));
    assert!(some.contains(r#"import{what="musl-"#) && !some.contains("compress{"), "{some}");
    let wrong = stderr(home.command(&["build", "s"]).env("HOOPY_LOG", "hoopy=loud"));
    assert!(wrong.contains("HOOPY_LOG is \"hoopy=loud\": expected a filter"), "{wrong}");
}
