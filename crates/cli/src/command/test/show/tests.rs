use insta::assert_snapshot;

use super::*;

fn outcome(origin: Origin, name: &str, verdict: Verdict, output: &str, advice: Option<&str>) -> TestOutcome {
    let (name, output) = (name.to_owned(), output.to_owned());
    let advice = advice.map(str::to_owned);
    TestOutcome { origin, name, verdict, took: Duration::from_millis(1234), output, advice }
}

fn report() -> testing::TestReport {
    let fails = |why: &str| Verdict::Failed(why.to_owned());
    let outcomes = vec![
        outcome(Origin::Check, "memory is left", Verdict::Passed, "140 of 512 MiB used\n", None),
        outcome(Origin::Check, "fstab is mounted", Verdict::Passed, "a: mounted\nb: mounted\n", None),
        outcome(
            Origin::Check,
            "services are up",
            fails("not up: sshd"),
            "sshd (runlevel default): stopped\n",
            Some("start it"),
        ),
        outcome(Origin::Script, "10-web", Verdict::Passed, "noise\n", None),
        outcome(
            Origin::Script,
            "20-disk",
            Verdict::Skipped("no disk here".to_owned()),
            "no disk here\n",
            None,
        ),
        outcome(Origin::Script, "30-long", fails("exit status 1"), &"line\n".repeat(100), None),
    ];
    let logs = vec!["console.log".into()];
    testing::TestReport { outcomes, took: Duration::from_millis(45_678), logs, boot: None, accelerator: None }
}

#[test]
fn each_test_is_a_line_and_failures_follow() {
    let report = report();
    let phases = Phases {
        firmware: Duration::from_millis(3100),
        kernel: Duration::from_millis(4400),
        init: Some(Duration::from_millis(5250)),
    };
    let mut text = bar(&phases) + "\n";
    report.outcomes.iter().for_each(|outcome| text += &(line(outcome, Style::Plain) + "\n"));
    assert_snapshot!(text + &ending(&report, Style::Plain));
}

#[test]
fn only_a_terminal_gets_colours() {
    assert_eq!(Style::of(false, false), Style::Plain);
    assert_eq!(Style::of(true, true), Style::Quiet);
    let outcome = report().outcomes.remove(0);
    assert!(!line(&outcome, Style::Plain).contains('\x1b'));
    assert!(line(&outcome, Style::Coloured).starts_with("\x1b[32mok  \x1b[0m"));
}

#[test]
fn an_unfinished_boot_has_a_bar_too() {
    assert_eq!(bar(&Phases::default()), "boot    0.00 s    ░ firmware 0.0 s  ▒ kernel 0.0 s  █ init 0.0 s");
}
