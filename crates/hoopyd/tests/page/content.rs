use hoopy_boot::status::Status;

use super::server::Page;

const INDEX: (&str, &str) = ("etc/monitor.d/index.sh", "#!/bin/sh\necho '<b>motd</b>'\necho pools fine\n");

#[test]
fn the_page_says_first_that_all_is_well_and_then_what_the_script_prints() {
    let page = Page::with(&[INDEX, ("etc/monitor.d/disks.sh", "#!/bin/sh\n")]);
    let html = page.html();
    assert!(html.contains("<title>nas: all is well</title>"), "{html}");
    assert!(html.contains("class=\"well\" role=\"status\">All is well: nothing needs doing.</p>"), "{html}");
    assert!(html.contains("<dd>nas-2026112101</dd>") && html.contains("abc123, with changes"), "{html}");
    assert!(html.contains("&lt;b&gt;motd&lt;/b&gt;\npools fine\n</pre>"), "{html}");
    assert!(html.trim_end().ends_with("</html>") && html.contains("href=\"/disks.sh\""), "{html}");
    assert!(html.contains("Content-Security-Policy: default-src 'none'"), "{html}");
}

#[test]
fn the_page_is_whole_without_any_script_of_the_owner() {
    let html = Page::new().html();
    assert!(html.contains("All is well") && html.trim_end().ends_with("</html>"), "{html}");
}

#[test]
fn what_needs_doing_is_the_sentence_on_top() {
    let page = Page::with(&[
        ("proc/spl/kstat/zfs/tank/state", "DEGRADED\n"),
        ("run/hoopy/health", "STATE=failed\nACTION=stay\nREASON=service x crashed\nSLOT=nas-1+2-1.efi\n"),
    ]);
    let html = page.html();
    assert!(html.contains("<title>nas: 2 things need doing</title>"), "{html}");
    assert!(html.contains("The health check of this boot failed: service x crashed"), "{html}");
    assert!(html.contains("nas-1+2-1.efi, 2 tries left"), "{html}");
    assert!(html.contains("<b class=\"critical\">Now</b> Pool tank (zfs) is DEGRADED"), "{html}");
}

#[test]
fn a_service_whose_process_is_gone_has_crashed() {
    let page = Page::with(&[
        ("run/openrc/started/sshd", ""),
        ("run/openrc/started/cron", ""),
        ("run/openrc/daemons/sshd/001", "exec=/usr/sbin/sshd\npidfile=/run/sshd.pid\n"),
        ("run/openrc/daemons/cron/001", "exec=/usr/sbin/crond\npidfile=/run/crond.pid\n"),
        ("run/sshd.pid", "4711\n"),
        ("run/crond.pid", "42\n"),
        ("proc/42/comm", "crond\n"),
    ]);
    let status: Status = serde_json::from_str(&page.get("/status.json").1).unwrap();
    assert_eq!(status.services.unwrap().crashed, ["sshd"]);
    assert!(
        status.summary.starts_with("Service sshd has crashed: look into hoopy logs"),
        "{}",
        status.summary
    );
}

#[test]
fn status_json_is_what_its_schema_says() {
    let page = Page::with(&[
        ("proc/spl/kstat/zfs/tank/state", "ONLINE\n"),
        ("run/hoopy/health", "STATE=good\nACTION=blessed\n"),
        ("run/openrc/started/cron", ""),
        ("sys/class/hwmon/hwmon0/name", "k10temp\n"),
        ("sys/class/hwmon/hwmon0/temp1_input", "45500\n"),
        ("sys/class/hwmon/hwmon0/temp1_crit", "95000\n"),
    ]);
    let (code, text) = page.get("/status.json");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../../../docs/status.schema.json")).unwrap();
    assert_eq!(code, 200);
    conforms(&value, &schema, &schema, "status");
    let status: Status = serde_json::from_value(value).unwrap();
    assert_eq!((status.cores, status.uptime, status.interfaces[0].sent), (2, 93_784, 700));
    assert_eq!(status.filesystems.len(), 1, "a filesystem of another computer is not waited for");
    assert_eq!(status.temperatures[0].celsius, 45.5);
}

/// As much of JSON Schema as the schema uses. A field that it does not know is a field that nobody documented.
fn conforms(value: &serde_json::Value, schema: &serde_json::Value, whole: &serde_json::Value, at: &str) {
    use serde_json::Value;
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.strip_prefix("#/$defs/").unwrap();
        return conforms(value, &whole["$defs"][name], whole, at);
    }
    let kinds = match &schema["type"] {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        other => panic!("{at}: no type: {other}"),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_u64() && kinds.contains(&"integer") => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(kinds.contains(&kind), "{at}: {kind}, expected {kinds:?}");
    match value {
        Value::Array(items) => items.iter().for_each(|item| conforms(item, &schema["items"], whole, at)),
        Value::Object(fields) => {
            let known = schema["properties"].as_object().unwrap();
            for name in schema["required"].as_array().unwrap() {
                assert!(fields.contains_key(name.as_str().unwrap()), "{at}: no {name}");
            }
            for (name, field) in fields {
                let known = known.get(name).unwrap_or_else(|| panic!("{at}.{name} is not documented"));
                assert!(known["description"].is_string(), "{at}.{name} is not described");
                conforms(field, known, whole, &format!("{at}.{name}"));
            }
        }
        _ => {}
    }
}

#[test]
fn metrics_are_such_as_prometheus_takes() {
    let page = Page::with(&[("proc/spl/kstat/zfs/ta\"n\\k/state", "ONLINE\n")]);
    let (code, text) = page.get("/metrics");
    assert_eq!(code, 200);
    let mut kinds = std::collections::HashMap::new();
    let mut seen = std::collections::HashSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(rest.split_once(' ').unwrap().1.ends_with('.'), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            assert!(kinds.contains_key(name), "without a type: {line}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{line}");
            value.parse::<f64>().unwrap();
            assert!(seen.insert(series.to_owned()), "twice: {line}");
        }
    }
    assert!(seen.contains("hoopy_pool_healthy{pool=\"ta\\\"n\\\\k\",kind=\"zfs\"}"), "{seen:?}");
    assert!(seen.contains("hoopy_memory_available_bytes"), "{seen:?}");
}

#[test]
fn somebody_with_curl_gets_text() {
    let (code, text) = Page::new().get("/");
    assert_eq!(code, 200);
    assert!(
        text.starts_with("All is well: nothing needs doing.\n") && text.contains("\nkernel     6.18"),
        "{text}"
    );
}
