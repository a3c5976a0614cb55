//! Rules of roles and constraints.

use regex::RegexBuilder;

use super::Context;
use crate::{
    compat::marathon::{
        json::Violations,
        normalize,
        spec::{App, app::unique},
    },
    model::workload::Operator,
};

/// Bytes of one compiled pattern: some thousand alternatives.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// The rules of where an app may run and on whose resources.
pub fn check(app: &App, context: &Context<'_>, v: &mut Violations) {
    let roles = Roles {
        role: app.role.as_deref().unwrap_or_default(),
        accepted: app.accepted_resource_roles.as_deref(),
        accepted_path: "/acceptedResourceRoles",
        is_resident: normalize::is_resident(app),
        of: "app",
    };
    check_roles(&roles, context, v);
    for (i, constraint) in app.constraints.iter().flatten().enumerate() {
        if let Err(problem) = parse(constraint) {
            v.add(format!("/constraints({i})"), problem);
        }
    }
}

/// What a definition says about roles.
#[derive(Clone, Copy, Debug)]
pub struct Roles<'a> {
    pub role: &'a str,
    pub accepted: Option<&'a [String]>,
    /// Where the accepted ones stand.
    pub accepted_path: &'a str,
    /// It keeps volumes on a node.
    pub is_resident: bool,
    /// What it is, for people.
    pub of: &'a str,
}

/// Which role a definition may have, and on whose resources it may run.
pub fn check_roles(roles: &Roles<'_>, context: &Context<'_>, v: &mut Violations) {
    let Roles { role, accepted, accepted_path: path, is_resident, of } = *roles;
    let valid: Vec<&str> = context.roles.iter().map(String::as_str).collect();
    v.check(
        valid.contains(&role),
        "/role",
        format!("got {role}, expected one of: [{}]", valid.join(", ")),
    );
    if let Some(pinned) = context.role_pinned.filter(|pinned| *pinned != role) {
        v.add(
            "/role",
            format!("the role {pinned} of a running {of} changes only with the query force=true"),
        );
    }
    v.check(!(is_resident && role == "*"), "/role", "got *, expected a role of its own");
    let Some(accepted) = accepted else { return };
    v.check(!accepted.is_empty(), path, "must not be empty");
    let allowed = unique(vec!["*", role]);
    for (i, name) in accepted.iter().enumerate() {
        v.check(is_role(name), format!("{path}({i})"), "is not a valid role name");
        v.check(
            allowed.contains(&name.as_str()),
            path,
            format!("got {name}, expected one of: [{}]", allowed.join(", ")),
        );
    }
    v.check(
        !is_resident || accepted.iter().all(|name| name == "*"),
        path,
        "got a reserved role, expected one of: [*]",
    );
}

/// Whether Mesos takes `name` for a role.
fn is_role(name: &str) -> bool {
    let is_bad = |c: char| c.is_whitespace() || c == '/' || c == '\u{7f}';
    !name.is_empty()
        && name != "."
        && name != ".."
        && !name.starts_with('-')
        && !name.contains(is_bad)
}

/// One constraint as JSON has it: field, operator, value.
pub fn parse(constraint: &[String]) -> Result<crate::model::workload::Constraint, String> {
    let (field, operator, value) = match constraint {
        [field, operator] => (field, operator, None),
        [field, operator, value] => (field, operator, Some(value)),
        _ => return Err("Each constraint must have either 2 or 3 fields".to_owned()),
    };
    if field.is_empty() {
        return Err("Missing field and operator".to_owned());
    }
    let Some(operator) = Operator::parse(operator) else {
        return Err(
            "Constraint operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS"
                .to_owned(),
        );
    };
    value_of(operator, value.map(String::as_str))?;
    Ok(crate::model::workload::Constraint { field: field.clone(), operator, value: value.cloned() })
}

fn value_of(operator: Operator, value: Option<&str>) -> Result<(), String> {
    let is_int = |text: &str| text.parse::<i32>().is_ok();
    match (operator, value) {
        (Operator::Unique, Some(_)) => Err("Value specified but not used".to_owned()),
        (Operator::Unique | Operator::Cluster, _) => Ok(()),
        (Operator::GroupBy, None) => Ok(()),
        (Operator::GroupBy, Some(text)) if is_int(text) => Ok(()),
        (Operator::GroupBy, Some(_)) => Err("Value was specified but is not a number".to_owned()),
        (Operator::MaxPer, Some(text)) if is_int(text) => Ok(()),
        (Operator::MaxPer, _) => Err("Value was not specified or is not a number".to_owned()),
        (Operator::Like | Operator::Unlike, None) => {
            Err("A regular expression value must be provided".to_owned())
        }
        (Operator::Like | Operator::Unlike, Some(text)) => {
            if is_pattern(text) {
                Ok(())
            } else {
                Err(format!("'{text}' is not a valid regular expression"))
            }
        }
        (Operator::Is, None) => Ok(()),
        (Operator::Is, Some(text)) => {
            let is_text = |c: char| c.is_ascii_alphanumeric() || "_/.-".contains(c);
            if text.chars().all(is_text) || text.parse::<f64>().is_ok() {
                Ok(())
            } else {
                Err("IS only supports text of letters, digits, '_', '/', '.' and '-', and decimals"
                    .to_owned())
            }
        }
    }
}

/// Whether `text` is a regular expression that compiles to a size placement can live with. Patterns
/// such as `(a{500}){500}` are small only as text.
pub fn is_pattern(text: &str) -> bool {
    RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build().is_ok()
}
