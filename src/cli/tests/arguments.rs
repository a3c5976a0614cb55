//! What command lines mean, which make no sense, and what is said of those.

use std::time::Duration;

use super::*;
use crate::cli::args::{self, App, Change, Command, Deployment};

fn parse(line: &str) -> Result<args::Cli, clap::Error> {
    args::parse(std::iter::once("tepui").chain(line.split_whitespace()).map(Into::into))
}

#[test]
fn the_tree_of_commands_holds_together_and_each_has_words_and_a_way_to_the_rest() {
    let tree = args::tree();
    tree.clone().debug_assert();
    let mut open: Vec<(String, clap::Command)> = vec![("tepui".to_owned(), tree)];
    let mut n = 0;
    while let Some((name, mut command)) = open.pop() {
        n += 1;
        command.build();
        assert!(command.get_about().is_some(), "{name} has no words");
        for arg in command.get_arguments() {
            let what = format!("{name} {}", arg.get_id());
            let is_clear = arg.get_help().is_some() || arg.is_positional() || arg.is_hide_set();
            assert!(is_clear, "{what} has no words");
        }
        let help = command.render_long_help().to_string();
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{name}:\n{help}");
        let subs = command.get_subcommands().filter(|sub| sub.get_name() != "help");
        open.extend(subs.map(|sub| (format!("{name} {}", sub.get_name()), sub.clone())));
    }
    assert!(n > 40, "{n}");
}

#[test]
fn times_are_read_with_their_unit() {
    let timeout =
        |text: &str| match parse(&format!("deployment watch d1 --timeout {text}")).ok()?.command {
            Command::Deployment(Deployment::Watch { timeout, .. }) => Some(timeout),
            other => panic!("{other:?}"),
        };
    for (text, seconds) in [
        ("0", Some(0)),
        ("90", Some(90)),
        ("90s", Some(90)),
        ("15m", Some(900)),
        ("2h", Some(7_200)),
        ("99999999999999999999", None),
        ("9999999999999999999h", Some(u64::MAX)),
        ("-1", None),
        ("1.5h", None),
        ("h", None),
        ("2d", None),
        ("2H", None),
        ("2 h", None),
        ("", None),
        ("２h", None),
        ("5ms", None),
    ] {
        assert_eq!(timeout(text), seconds.map(Duration::from_secs), "{text:?}");
    }
}

#[test]
fn options_of_every_command_stand_anywhere() {
    for line in [
        "--json --url http://h app list",
        "app --json list --url http://h",
        "app list --url http://h --json",
    ] {
        let global = parse(line).expect(line).global;
        assert_eq!((global.json, global.url.as_deref()), (true, Some("http://h")), "{line}");
    }
    let global = parse("status --cacert x.pem -q").expect("the older name").global;
    assert_eq!((global.ca, global.quiet), (Some("x.pem".into()), true));
}

#[test]
fn what_is_waited_for_is_bounded_unless_said_otherwise() {
    let Command::App(App::Scale { app, instances, change }) =
        parse("app scale /a 0").unwrap().command
    else {
        panic!("another command");
    };
    let Change { force, no_wait, timeout } = change;
    assert_eq!((app.as_str(), instances, force, no_wait), ("/a", 0, false, false));
    assert_eq!(timeout, Duration::from_secs(900));
}

#[tokio::test]
async fn lines_that_make_no_sense_are_refused_before_anybody_is_asked() {
    for (line, said) in [
        ("app scale /a many", "invalid value 'many' for '<INSTANCES>'"),
        ("app scale /a -3", "unexpected argument '-3'"),
        ("app scale /a 4294967296", "invalid value '4294967296'"),
        ("app scale /a", "<INSTANCES>"),
        ("app remvoe /a", "unrecognized subcommand 'remvoe'"),
        ("aps list", "unrecognized subcommand 'aps'"),
        ("app list --jsn", "unexpected argument '--jsn'"),
        ("exec /a ls -l", "unexpected argument 'ls'"),
        ("exec /a --", "<COMMAND>"),
        ("task kill", "<TASKS>"),
        ("token revoke bob --all", "cannot be used with"),
        ("log /a -n -1", "unexpected argument '-1'"),
        ("log /a -n x", "invalid value 'x'"),
        ("node drain n1 --deadline soon", "\"soon\" is no time, as 90s, 15m or 2h"),
        ("node drain n1 --timeout 3d", "\"d\" is no unit: use s, m or h"),
        ("completions basic", "invalid value 'basic'"),
    ] {
        let site = Site::new();
        let done = site.run(line).await;
        assert_eq!((done.code, done.out.as_str()), (2, ""), "{line}");
        assert!(done.err.contains(said), "{line}: {}", done.err);
        assert_eq!(site.lines().len(), 0, "{line}");
    }
}

#[tokio::test]
async fn near_misses_are_named() {
    for (line, meant) in [
        ("app lst", "'list'"),
        ("deploymnt list", "'deployment'"),
        ("app list --jsom", "'--json'"),
        ("stauts", "'status'"),
    ] {
        let done = Site::new().run(line).await;
        assert!(done.err.contains(meant), "{line}: {}", done.err);
    }
}

#[tokio::test]
async fn help_and_scripts_of_shells_are_data_and_no_failure() {
    for line in [
        "--help",
        "app deploy --help",
        "help node",
        "--version",
        "completions bash",
        "completions zsh",
    ] {
        let done = Site::new().run(line).await;
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{line}");
        assert!(!done.out.is_empty(), "{line}");
    }
    let help = Site::new().run("--help").await.out;
    for code in ["0 done", "4 login", "8 deployment"] {
        assert!(help.contains(code), "scripts rely on it: {code}");
    }
}
