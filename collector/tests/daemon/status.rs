//! What the daemon tells of itself.

use std::{io::Write as _, process::Command};

use serde_json::{Value, json};

use crate::daemon::{Daemon, wait_for};

/// A Statistics Report that breaks off within its count.
const BROKEN: &[u8] = &[3, 0, 0, 0, 8, 1, 0, 0];

fn status(daemon: &Daemon) -> Value {
    let (_, body) = daemon.get("/status", "*/*");
    serde_json::from_str(&body).unwrap()
}

#[test]
fn the_status_has_every_session_and_what_went_wrong() {
    let daemon = Daemon::start(&["--allow", "127.0.0.0/29"]);
    let mut router = daemon.router("127.0.0.2");
    let told = wait_for("the session", || {
        Some(status(&daemon)).filter(|status| status["sessions"][0]["messages"] == 1)
    });
    let session = &told["sessions"][0];
    for (name, value) in [
        ("router", json!("127.0.0.2")),
        ("sys_name", json!("r")),
        ("bytes", json!(11)),
        ("peers_up", json!(0)),
        ("state", json!("reading")),
        ("undecodable", json!(0)),
    ] {
        assert_eq!(session[name], value, "{told}");
    }
    assert_eq!(told["troubles"], json!([]), "{told}");
    assert_eq!(told["daemon"]["sessions"], 1, "{told}");

    router.write_all(BROKEN).unwrap();
    let _refused = daemon.connect_from("127.0.0.9");
    let told = wait_for("the troubles", || {
        Some(status(&daemon)).filter(|told| told["troubles"].as_array().unwrap().len() == 2)
    });
    let troubles = told["troubles"].to_string();
    for part in ["127.0.0.9", "--allow", "127.0.0.2", "cannot be decoded"] {
        assert!(troubles.contains(part), "{part}: {troubles}");
    }
    assert_eq!(told["sessions"][0]["undecodable"], 1, "{told}");

    let (head, page) = daemon.get("/status", "text/html,application/xhtml+xml");
    assert!(head.to_ascii_lowercase().contains("content-type: text/html"), "{head}");
    assert!(page.contains("<td>127.0.0.2</td><td>r</td>"), "{page}");

    drop(router);
    wait_for("the end", || (status(&daemon)["sessions"] == json!([])).then_some(()));
}

#[test]
fn the_page_shows_in_a_browser_and_text_of_a_router_is_text() {
    // compose/test installs one, and says here where it is.
    let Ok(browser) = std::env::var("RIBSTREAM_TEST_BROWSER") else {
        eprintln!("not tested: RIBSTREAM_TEST_BROWSER names no browser");
        return;
    };
    let daemon = Daemon::start(&[]);
    let name = "<script>document.title='taken'</script><b>r1</b>";
    let mut router = daemon.connect_from("127.0.0.2");
    let mut initiation = vec![3, 0, 0, 0, 0, 4, 0, 2, 0, u8::try_from(name.len()).unwrap()];
    initiation.extend(name.as_bytes());
    initiation[4] = u8::try_from(initiation.len()).unwrap();
    router.write_all(&initiation).unwrap();
    daemon.event("127.0.0.2", "router_up");

    let profile = std::env::temp_dir().join(format!("ribstream-browser-{}", std::process::id()));
    let shown = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(daemon.url("/status"))
        .output()
        .unwrap();
    let _gone = std::fs::remove_dir_all(profile);
    let dom = String::from_utf8_lossy(&shown.stdout);
    let said = String::from_utf8_lossy(&shown.stderr);
    for part in [
        "<title>ribstream-collector</title>",
        "<td>127.0.0.2</td><td>&lt;script&gt;document.title='taken'&lt;/script&gt;",
        "&lt;b&gt;r1&lt;/b&gt;</td>",
        "<h2>sessions</h2>",
        "<p id=\"troubles\">None.</p>",
    ] {
        assert!(dom.contains(part), "{part}\n{dom}\n{said}");
    }
}

#[test]
fn every_metric_is_in_the_documentation() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let page = std::fs::read_to_string(page).unwrap();
    let daemon = Daemon::start(&[]);
    let _router = daemon.router("127.0.0.2");
    daemon.metric_reaches("sessions", 1.0);
    let (_, text) = daemon.get("/metrics", "*/*");
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let mut count = 0;
    for name in names {
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
        count += 1;
    }
    assert!(count > 15, "{count}");
}
