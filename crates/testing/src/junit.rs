//! The report as JUnit XML, which CI systems show. There is no specification; this is the common part of what they
//! read: `testsuites`, `testsuite`, `testcase`, `failure`, `skipped`, `system-out`.

use std::fmt::Write as _;

use hoopy_base::markup::escaped;

use super::report::{Origin, TestOutcome, TestReport, Verdict};

/// The report as XML. `suite` is what the tests are of: the image's name.
pub fn junit(report: &TestReport, suite: &str) -> String {
    let [_, failed, skipped] = report.counts();
    let counts = format!(
        "tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\" time=\"{:.3}\"",
        report.outcomes.len(),
        report.took.as_secs_f64()
    );
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"hoopy test\" {counts}>\n  \
         <testsuite name=\"{}\" {counts}>\n",
        value(suite)
    );
    report.outcomes.iter().for_each(|outcome| case(&mut out, outcome, suite));
    out + "  </testsuite>\n</testsuites>\n"
}

fn case(out: &mut String, outcome: &TestOutcome, suite: &str) {
    let class = match outcome.origin {
        Origin::Check => "hoopy",
        Origin::Script => "tests",
    };
    let (suite, name) = (value(suite), value(&outcome.name));
    // Writing to a String does not fail
    let _ = writeln!(
        out,
        "    <testcase classname=\"{suite}.{class}\" name=\"{name}\" time=\"{:.3}\">",
        outcome.took.as_secs_f64()
    );
    let _ = match &outcome.verdict {
        Verdict::Passed => Ok(()),
        Verdict::Failed(why) => {
            let advice = outcome.advice.as_deref().unwrap_or_default();
            writeln!(out, "      <failure message=\"{}\">{}</failure>", value(why), escaped(advice))
        }
        Verdict::Skipped(why) => writeln!(out, "      <skipped message=\"{}\"/>", value(why)),
    };
    if !outcome.output.is_empty() {
        let _ = writeln!(out, "      <system-out>{}</system-out>", escaped(&outcome.output));
    }
    out.push_str("    </testcase>\n");
}

/// The value of an attribute, in which a line's end would be read as a space.
fn value(text: &str) -> String {
    escaped(text).replace('\n', "&#10;")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;

    fn report() -> TestReport {
        let outcome = |origin, name: &str, verdict, output: &str| TestOutcome {
            origin,
            name: name.to_owned(),
            verdict,
            took: Duration::from_millis(1234),
            output: output.to_owned(),
            advice: Some("look & see".to_owned()),
        };
        let outcomes = vec![
            outcome(Origin::Check, "clock", Verdict::Passed, ""),
            outcome(
                Origin::Script,
                "10-<web>",
                Verdict::Failed("exit status 3".to_owned()),
                "a ]]> b\u{0}\nc\n",
            ),
            outcome(Origin::Script, "20", Verdict::Skipped("exit status 77".to_owned()), "no \"disk\""),
        ];
        TestReport { outcomes, took: Duration::from_secs(30), ..TestReport::default() }
    }

    #[test]
    fn the_report_is_what_ci_systems_read() {
        insta::assert_snapshot!(junit(&report(), "nas-2026112101"));
    }

    #[test]
    fn an_xml_parser_reads_back_what_the_script_said() {
        let read = "import sys, xml.etree.ElementTree as e; r = e.fromstring(sys.stdin.buffer.read()); \
                    c = r.findall('testsuite/testcase'); \
                    print(r.get('failures'), [(x.get('name'), x.findtext('system-out')) for x in c])";
        let mut python = Command::new("python3");
        python.args(["-c", read]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut python) = python.spawn() else {
            return hoopy_testkit::skip("python3 is not installed");
        };
        python.stdin.take().unwrap().write_all(junit(&report(), "nas").as_bytes()).unwrap();
        let said = String::from_utf8(python.wait_with_output().unwrap().stdout).unwrap();
        let wanted = "1 [('clock', None), ('10-<web>', 'a ]]> b\u{fffd}\\nc\\n'), ('20', 'no \"disk\"')]\n";
        assert_eq!(said, wanted);
    }
}
