//! The sections of the page.

use hoopy_base::markup::escaped;
use hoopy_base::size::show;
use hoopy_boot::status::{Severity, Status, changed_files, volume_state};

use super::super::chart::{Chart, Line, range};
use super::super::rings::Rings;
use super::clock;

fn section(id: &str, title: &str, content: &str) -> String {
    format!("<section aria-labelledby=\"{id}\"><h2 id=\"{id}\">{title}</h2>\n{content}</section>\n")
}

/// What needs doing; nothing where nothing does.
pub fn problems(status: &Status) -> String {
    if status.problems.len() < 2 {
        // The sentence on top has said it.
        return String::new();
    }
    let item = |problem: &hoopy_boot::status::Problem| {
        let (class, word) = match problem.severity {
            Severity::Critical => ("critical", "Now"),
            Severity::Warning => ("warning", "Soon"),
        };
        let (what, remedy) = (escaped(&problem.what), escaped(&problem.remedy));
        format!("<li><b class=\"{class}\">{word}</b> {what}: {remedy}</li>\n")
    };
    let items: String = status.problems.iter().map(item).collect();
    section("todo", "What needs doing", &format!("<ul class=\"plain\">\n{items}</ul>\n"))
}

/// The last hour.
pub fn charts(status: &Status, rings: &Rings) -> String {
    let memory = status.memory.used_percent();
    let [load, ..] = status.load;
    let mut all = vec![
        Chart {
            title: "Memory",
            now: format!("{memory:.0}% of {}", show(status.memory.total)),
            description: spoken("Memory in use", "percent", &[("", &rings.memory)]),
            lines: &[Line { class: "one", ring: &rings.memory }],
            at_least: 100.0,
        }
        .html(),
        Chart {
            title: "Load",
            now: format!("{load:.2} on {} cores", status.cores),
            description: spoken("Load", "", &[("", &rings.load)]),
            lines: &[Line { class: "one", ring: &rings.load }],
            at_least: 1.0,
        }
        .html(),
    ];
    let hottest = status.temperatures.iter().max_by(|a, b| a.celsius.total_cmp(&b.celsius));
    if let Some(hottest) = hottest {
        let chart = Chart {
            title: &format!("Hottest: {}", escaped(&hottest.name)),
            now: format!("{:.0} °C", hottest.celsius),
            description: spoken("The hottest thermometer", "degrees Celsius", &[("", &rings.temperature)]),
            lines: &[Line { class: "one", ring: &rings.temperature }],
            at_least: 60.0,
        };
        all.push(chart.html());
    }
    let last = |ring: &super::super::rings::Ring| rate(ring.values().last().unwrap_or(0.0));
    let chart = Chart {
        title: "Network",
        now: format!(
            "<i class=\"key one\">in</i> {} <i class=\"key two\">out</i> {}",
            last(&rings.received),
            last(&rings.sent)
        ),
        description: spoken("Bytes a second", "", &[("in", &rings.received), ("out", &rings.sent)]),
        lines: &[Line { class: "one", ring: &rings.received }, Line { class: "two", ring: &rings.sent }],
        at_least: 1024.0,
    };
    all.push(chart.html());
    section("hour", "The last hour", &format!("<div class=\"charts\">\n{}</div>\n", all.concat()))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes a second, for people")]
fn rate(value: f32) -> String {
    format!("{}/s", show(value.max(0.0) as u64))
}

/// A chart in words.
fn spoken(what: &str, unit: &str, lines: &[(&str, &super::super::rings::Ring)]) -> String {
    let line = |(name, ring): &(&str, &super::super::rings::Ring)| {
        let name = if name.is_empty() { String::new() } else { format!(" {name}") };
        match range(ring) {
            Some((low, high)) => format!("{name} between {low:.1} and {high:.1} {unit}"),
            None => format!("{name} not known yet"),
        }
    };
    let lines: Vec<String> = lines.iter().map(line).collect();
    format!("{what} in the last hour:{}", lines.join(",")).trim_end().to_owned()
}

/// What runs, and whether it came up well.
pub fn machine(status: &Status) -> String {
    let image = &status.image;
    let mut rows: Vec<(&str, String)> = Vec::new();
    rows.push(("Image", image.name.clone().unwrap_or_else(|| "not an image of hoopy".to_owned())));
    if let Some(staged) = &image.staged {
        rows.push(("After a reboot", staged.clone()));
    }
    if let Some(commit) = &image.commit {
        rows.push(("Commit", format!("{commit}{}", if image.dirty { ", with changes" } else { "" })));
    }
    if image.built > 0 {
        rows.push(("Newest package", clock(image.built).split(' ').next().unwrap_or_default().to_owned()));
    }
    if let Some(health) = &status.health {
        let reason = if health.reason.is_empty() { String::new() } else { format!(": {}", health.reason) };
        rows.push(("This boot", format!("{}{reason}", health.state)));
        if !health.slot.is_empty() {
            let tries = health.tries_left.map_or_else(String::new, |left| format!(", {left} tries left"));
            rows.push(("Started from", format!("{}{tries}", health.slot)));
        }
    }
    rows.push(("Kernel", image.kernel.clone()));
    if let Some(secrets) = &status.secrets {
        rows.push(("Secrets", secrets.state.clone()));
    }
    for volume in &status.volumes {
        rows.push(("Volume", format!("{}: {}", volume.name, volume_state(volume.open))));
    }
    if let Some(services) = &status.services {
        let down = services.failed.len() + services.crashed.len();
        let down = if down == 0 { String::new() } else { format!(", {down} down") };
        rows.push(("Services", format!("{} started{down}", services.started)));
    }
    if let Some(changed) = status.changed.as_ref().filter(|changed| changed.files > 0) {
        rows.push(("Erased at reboot", changed_files(changed)));
    }
    let row = |(name, value): &(&str, String)| format!("<dt>{name}</dt><dd>{}</dd>\n", escaped(value));
    let rows: String = rows.iter().map(row).collect();
    section("machine", "Machine", &format!("<dl>\n{rows}</dl>\n"))
}

/// Filesystems and pools.
pub fn storage(status: &Status) -> String {
    let file = |file: &hoopy_boot::status::Filesystem| {
        let used = file.used_percent();
        let class = if used >= 90.0 && !file.read_only { "bar full" } else { "bar" };
        let access = if file.read_only { ", read-only" } else { "" };
        format!(
            "<tr><th scope=\"row\">{}</th><td class=\"wide\"><svg class=\"{class}\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" \
            aria-hidden=\"true\"><rect width=\"{used:.0}\" height=\"8\"/></svg></td>\
            <td class=\"number\">{used:.0}% of {}</td><td>{}{access}</td></tr>\n",
            escaped(&file.mount),
            show(file.size),
            escaped(&file.kind)
        )
    };
    let files: String = status.filesystems.iter().map(file).collect();
    let pool = |pool: &hoopy_boot::status::Pool| {
        let class = if pool.healthy { "well" } else { "critical" };
        let (name, kind, state) = (escaped(&pool.name), escaped(&pool.kind), escaped(&pool.state));
        format!(
            "<tr><th scope=\"row\">{name}</th><td>{kind}</td><td><b class=\"{class}\">{state}</b></td></tr>\n"
        )
    };
    let pools: String = status.pools.iter().map(pool).collect();
    let pools = if pools.is_empty() {
        String::new()
    } else {
        format!(
            "<table>\n<thead><tr><th>Pool</th><th>Kind</th><th>State</th></tr></thead>\n<tbody>\n{pools}</tbody></table>\n"
        )
    };
    section(
        "storage",
        "Storage",
        &format!(
            "{pools}<table>\n<thead><tr><th>Mounted at</th><th><span class=\"hidden\">Picture of what is </span>In use</th>\
            <th class=\"number\"><span class=\"hidden\">In use</span></th><th>Kind</th></tr></thead>\n<tbody>\n{files}</tbody></table>\n"
        ),
    )
}

/// The network.
pub fn network(status: &Status) -> String {
    let link = |link: &hoopy_boot::status::Interface| {
        let state = if link.up { "up" } else { "down" };
        format!(
            "<tr><th scope=\"row\">{}</th><td>{state}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
            <td class=\"number\">{}</td></tr>\n",
            escaped(&link.name),
            show(link.received),
            show(link.sent),
            link.errors
        )
    };
    let links: String = status.interfaces.iter().map(link).collect();
    if links.is_empty() {
        return String::new();
    }
    let head = "<thead><tr><th>Interface</th><th>State</th><th class=\"number\">Received</th><th class=\"number\">Sent</th>\
        <th class=\"number\">Errors</th></tr></thead>";
    section("network", "Network", &format!("<table>\n{head}\n<tbody>\n{links}</tbody></table>\n"))
}

/// What the checks of this boot said.
pub fn log(status: &Status) -> String {
    let Some(health) = status.health.as_ref().filter(|health| !health.log.is_empty()) else {
        return String::new();
    };
    let log = escaped(&health.log);
    format!(
        "<details><summary>What the checks of this boot said</summary>\n<pre tabindex=\"0\">{log}</pre></details>\n"
    )
}

/// Links to the scripts, and to where volumes are unlocked.
pub fn links(names: &[String], has_volumes: bool) -> String {
    if names.is_empty() && !has_volumes {
        return String::new();
    }
    let unlock = if has_volumes { "<li><a href=\"/unlock/\">Unlock volumes</a></li>\n" } else { "" };
    let link = |name: &String| format!("<li><a href=\"/{0}\">{0}</a></li>\n", escaped(name));
    let links: String = names.iter().map(link).collect();
    format!("<nav aria-label=\"More pages\"><ul class=\"links\">\n{unlock}{links}</ul></nav>\n")
}
