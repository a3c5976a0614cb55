//! The admin router's routes as data (docs/compat/dcos.md, "Routes"): which path needs a token and
//! who answers it. Exact paths win over prefixes, the longest prefix over shorter ones.

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    pub path: Path,
    pub pass: Pass,
    pub then: Then,
}

/// What a path must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    Is(&'static str),
    Under(&'static str),
}

/// Who may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Anybody.
    Open,
    /// Holders of a good token. What they may do is asked by the part's own route table; services
    /// of the cluster see the token and judge for themselves.
    Token,
    /// The part checks for itself; a good token is told to it, a bad one is not refused here.
    Own,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// A part answers; `strip` is cut off the front of the path.
    Part { part: Part, strip: &'static str },
    /// A redirect to a path; the query is kept.
    Redirect(u16, &'static str),
    /// A service of the cluster by its name.
    Service,
    /// An agent's own API: `/agent/<id>/…`.
    Agent,
    /// Another path of this table: the first text of the path is replaced by the second.
    Rewrite(&'static str, &'static str),
}

/// The parts behind the front door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Ui,
    Api,
    Mesos,
    MesosDns,
    Cosmos,
    Iam,
    System,
}

const fn rule(path: Path, pass: Pass, then: Then) -> Rule {
    Rule { path, pass, then }
}

const fn part(part: Part) -> Then {
    Then::Part { part, strip: "" }
}

const fn stripped(part: Part, strip: &'static str) -> Then {
    Then::Part { part, strip }
}

use Path::{Is, Under};

/// Every route.
pub const RULES: &[Rule] = &[
    rule(Under("/"), Pass::Open, part(Part::Ui)),
    rule(Under("/tepui/v1"), Pass::Own, part(Part::Api)),
    // Where Prometheus looks unless it is told otherwise.
    rule(Is("/metrics"), Pass::Token, Then::Rewrite("/metrics", "/tepui/v1/metrics")),
    rule(Is("/login"), Pass::Open, Then::Redirect(302, "/#/login")),
    rule(Under("/acs/api/v1/auth/"), Pass::Open, part(Part::Iam)),
    rule(Under("/acs/api/v1"), Pass::Token, part(Part::Iam)),
    rule(Is("/dcos-metadata/dcos-version.json"), Pass::Open, part(Part::System)),
    rule(Is("/dcos-metadata/ui-config.json"), Pass::Open, part(Part::System)),
    rule(Is("/ca/dcos-ca.crt"), Pass::Open, part(Part::System)),
    rule(Is("/ca/tepui-ca.crt"), Pass::Open, part(Part::System)),
    rule(Under("/dcos-metadata/"), Pass::Token, part(Part::System)),
    rule(Is("/metadata"), Pass::Token, part(Part::System)),
    rule(Is("/capabilities"), Pass::Token, part(Part::Cosmos)),
    rule(Under("/package/"), Pass::Token, part(Part::Cosmos)),
    rule(Under("/cosmos/service/"), Pass::Token, stripped(Part::Cosmos, "/cosmos")),
    rule(Is("/mesos"), Pass::Open, Then::Redirect(301, "/mesos/")),
    rule(Under("/mesos/"), Pass::Token, stripped(Part::Mesos, "/mesos")),
    // Open to everybody in the original; it tells all tasks of the cluster, so it is not here.
    rule(Under("/cache/master/"), Pass::Token, stripped(Part::Mesos, "/cache")),
    rule(Is("/marathon"), Pass::Open, Then::Redirect(307, "/marathon/")),
    rule(Under("/marathon/"), Pass::Token, Then::Rewrite("/marathon/", "/service/marathon/")),
    rule(Under("/service/"), Pass::Token, Then::Service),
    rule(Under("/agent/"), Pass::Token, Then::Agent),
    rule(Under("/slave/"), Pass::Token, Then::Agent),
    rule(Under("/system/v1/agent/"), Pass::Token, part(Part::System)),
    // One front door on every master and one state behind all: the leader answers no differently.
    rule(
        Under("/system/v1/leader/mesos/"),
        Pass::Token,
        Then::Rewrite("/system/v1/leader/mesos/", "/system/v1/"),
    ),
    rule(
        Under("/system/v1/leader/marathon/"),
        Pass::Token,
        Then::Rewrite("/system/v1/leader/marathon/", "/system/v1/"),
    ),
    rule(Under("/system/health/v1"), Pass::Token, part(Part::System)),
    rule(Under("/system/v1/"), Pass::Token, part(Part::System)),
    rule(Is("/system/v1/logs"), Pass::Open, Then::Redirect(301, "/system/v1/logs/")),
    rule(Is("/system/v1/metrics"), Pass::Open, Then::Redirect(301, "/system/v1/metrics/")),
    rule(Is("/mesos_dns"), Pass::Open, Then::Redirect(301, "/mesos_dns/")),
    rule(Under("/mesos_dns/"), Pass::Token, stripped(Part::MesosDns, "/mesos_dns")),
    rule(Is("/net"), Pass::Open, Then::Redirect(301, "/net/")),
    rule(Under("/net/"), Pass::Token, part(Part::System)),
    rule(Is("/pkgpanda"), Pass::Open, Then::Redirect(301, "/pkgpanda/")),
    rule(Under("/pkgpanda/"), Pass::Token, part(Part::System)),
    rule(Is("/exhibitor"), Pass::Open, Then::Redirect(301, "/exhibitor/")),
    rule(Is("/exhibitor/exhibitor/v1/cluster/status"), Pass::Open, part(Part::System)),
    rule(Under("/exhibitor/"), Pass::Token, part(Part::System)),
    rule(Under("/dcos-ui-update-service/"), Pass::Token, part(Part::System)),
];

impl Rule {
    fn matches(&self, path: &str) -> bool {
        match self.path {
            Path::Is(text) => text == path,
            Path::Under(prefix) => path.starts_with(prefix),
        }
    }

    fn rank(&self) -> (bool, usize) {
        match self.path {
            Path::Is(text) => (true, text.len()),
            Path::Under(prefix) => (false, prefix.len()),
        }
    }
}

/// The rule for a path; `None` for a target without one (`*`, `host:port`), which names nothing
/// here. Every path that starts with a slash has a rule.
pub fn find(path: &str) -> Option<&'static Rule> {
    RULES.iter().filter(|rule| rule.matches(path)).max_by_key(|rule| rule.rank())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, pass: Pass, then: Then) {
        let rule = find(path).unwrap();
        assert_eq!((rule.pass, rule.then), (pass, then), "{path}");
    }

    #[test]
    fn exact_beats_long_beats_short() {
        check("/", Pass::Open, part(Part::Ui));
        check("/package", Pass::Open, part(Part::Ui));
        check("/acs/api/v1/auth/login", Pass::Open, part(Part::Iam));
        check("/acs/api/v1/users", Pass::Token, part(Part::Iam));
        check("/dcos-metadata/dcos-version.json", Pass::Open, part(Part::System));
        check("/dcos-metadata/x", Pass::Token, part(Part::System));
        check("/exhibitor/exhibitor/v1/cluster/status", Pass::Open, part(Part::System));
        check("/exhibitor/exhibitor/v1/cluster/list", Pass::Token, part(Part::System));
        check("/mesos", Pass::Open, Then::Redirect(301, "/mesos/"));
        check("/mesos/master/state", Pass::Token, stripped(Part::Mesos, "/mesos"));
        check("/service/a", Pass::Token, Then::Service);
    }

    #[test]
    fn a_target_that_is_no_path_has_no_rule() {
        for target in ["", "*", "a:1", "x"] {
            assert!(find(target).is_none(), "{target}");
        }
    }

    #[test]
    fn only_the_known_few_pass_without_a_token() {
        let open: Vec<_> = RULES
            .iter()
            .filter(|rule| rule.pass == Pass::Open && !matches!(rule.then, Then::Redirect(..)))
            .map(|rule| rule.path)
            .collect();
        assert_eq!(
            open,
            [
                Under("/"),
                Under("/acs/api/v1/auth/"),
                Is("/dcos-metadata/dcos-version.json"),
                Is("/dcos-metadata/ui-config.json"),
                Is("/ca/dcos-ca.crt"),
                Is("/ca/tepui-ca.crt"),
                Is("/exhibitor/exhibitor/v1/cluster/status"),
            ]
        );
    }

    #[test]
    fn rewrites_and_redirects_lead_somewhere_and_end() {
        for rule in RULES {
            let (Is(path) | Under(path)) = rule.path;
            match rule.then {
                Then::Rewrite(from, to) => {
                    assert!(path.starts_with(from), "{path}");
                    let rest = &path[from.len()..];
                    let next = find(&format!("{to}{rest}x")).unwrap();
                    assert!(!matches!(next.then, Then::Rewrite(..) | Then::Redirect(..)), "{path}");
                    assert_ne!(
                        next.pass,
                        Pass::Open,
                        "{path}: what wants a token goes on to want one"
                    );
                }
                Then::Redirect(status, to) => {
                    assert!((301..=308).contains(&status), "{path}");
                    let next = find(to.split('#').next().unwrap()).unwrap();
                    assert!(!matches!(next.then, Then::Redirect(..)), "{path}");
                }
                Then::Part { strip, .. } => assert!(path.starts_with(strip), "{path}"),
                Then::Service | Then::Agent => assert!(path.ends_with('/'), "{path}"),
            }
        }
    }

    #[test]
    fn no_spelling_of_a_guarded_path_is_open() {
        for rule in RULES.iter().filter(|rule| rule.pass == Pass::Token) {
            let Under(path) = rule.path else { continue };
            for below in ["", "x", "x/y", "/", "/x", "../x", "x.json", "%2e%2e"] {
                let found = find(&format!("{path}{below}")).unwrap();
                assert_eq!(found.pass, Pass::Token, "{path}{below}");
            }
        }
    }
}
