//! Errors as the original words them: the one place that knows statuses and bodies
//! (docs/compat/marathon.md, "Errors").

use http::StatusCode;
use serde::Serialize;

use super::{json::Violations, normalize::Conflict};
use crate::{
    core::Rejected,
    http::{
        Response,
        body::BodyError,
        reply::{self, Reply},
        serve::RequestId,
    },
    log::ProposeError,
    model::deployment::DeploymentId,
};

/// Why a request is not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is not JSON; the parser's text.
    #[error("Invalid JSON")]
    NotJson(String),
    /// There is no body where one is needed.
    #[error("Please specify data in JSON format")]
    NoBody,
    /// Values of wrong types or out of bounds.
    #[error("Invalid JSON")]
    Types(Violations),
    /// Rules of the object are broken.
    #[error("Object is not valid")]
    Rules(Violations),
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// 400 with a text.
    #[error("{0}")]
    BadRequest(String),
    /// 422 with a text: an argument that makes no sense.
    #[error("{0}")]
    Argument(String),
    #[error("{0}")]
    NotFound(String),
    /// 409 with a text.
    #[error("{0}")]
    Exists(String),
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error("{0}")]
    Unavailable(String),
    /// The log gave no outcome.
    #[error(transparent)]
    Undecided(ProposeError),
    #[error(transparent)]
    Body(#[from] BodyError),
    /// 406, 415 and their like: the status tells it all.
    #[error("{}", .0.canonical_reason().unwrap_or("error"))]
    Status(StatusCode),
}

#[derive(Serialize)]
struct Body<'a, D: Serialize> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<D>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployments: Option<Vec<Id<'a>>>,
}

#[derive(Serialize)]
struct Id<'a> {
    id: &'a DeploymentId,
}

fn body<D: Serialize>(status: StatusCode, message: &str, details: Option<D>) -> Response {
    reply::json(status, &Body { message, details, deployments: None })
}

/// `{"message":…}` under a status.
pub fn plain(status: StatusCode, message: &str) -> Response {
    body(status, message, None::<()>)
}

impl Error {
    /// One broken rule.
    pub fn rule(path: &str, text: impl Into<String>) -> Self {
        let mut violations = Violations::default();
        violations.add(path, text);
        Self::Rules(violations)
    }

    /// The answer to the caller.
    pub fn response(&self) -> Response {
        let text = self.to_string();
        match self {
            Self::NotJson(details) => body(StatusCode::BAD_REQUEST, &text, Some(details)),
            Self::NoBody => body(StatusCode::BAD_REQUEST, &text, Some("the request body is empty")),
            Self::Types(violations) | Self::Rules(violations) => {
                body(StatusCode::UNPROCESSABLE_ENTITY, &text, Some(violations))
            }
            Self::Conflict(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, &text),
            Self::BadRequest(_) => plain(StatusCode::BAD_REQUEST, &text),
            Self::Argument(_) => plain(StatusCode::UNPROCESSABLE_ENTITY, &text),
            Self::NotFound(_) => body(StatusCode::NOT_FOUND, &text, Some([(); 0])),
            Self::Exists(_) => plain(StatusCode::CONFLICT, &text),
            Self::Rejected(rejected) => self::rejected(rejected),
            Self::Undecided(ProposeError::TooLarge { .. }) => {
                plain(StatusCode::PAYLOAD_TOO_LARGE, &text)
            }
            Self::Unavailable(_) | Self::Undecided(_) => {
                plain(StatusCode::SERVICE_UNAVAILABLE, &text)
            }
            Self::Body(error) => plain(error.status(), &text),
            Self::Status(status) => plain(*status, &text),
        }
    }
}

impl Reply for Error {
    fn reply(self, request: RequestId) -> Response {
        if let Self::Undecided(error) = &self {
            tracing::warn!(request = %request, %error, "command has no outcome");
        }
        self.response()
    }
}

/// What the state refused, in the original's words.
pub fn rejected(rejected: &Rejected) -> Response {
    let status = match rejected {
        Rejected::NoSuchApp(_)
        | Rejected::NoSuchGroup(_)
        | Rejected::NoSuchDeployment(_)
        | Rejected::NoSuchInstance(_)
        | Rejected::NoSuchNode(_)
        | Rejected::NoSuchUser(_)
        | Rejected::NoSuchRole(_)
        | Rejected::NothingWaiting(_) => StatusCode::NOT_FOUND,
        Rejected::AlreadyInitialised
        | Rejected::AppExists(_)
        | Rejected::Stale { .. }
        | Rejected::Locked { .. }
        | Rejected::StaleStep
        | Rejected::NodeBusy(_)
        | Rejected::LastUser(_)
        | Rejected::HeldBack { .. }
        | Rejected::TooOld { .. }
        | Rejected::NotInvited
        | Rejected::BadCertificate(_)
        | Rejected::UserExists(_) => StatusCode::CONFLICT,
        Rejected::TooManyDeployments(_) => StatusCode::FORBIDDEN,
        Rejected::PathTaken(_) | Rejected::CyclicDependencies(_) | Rejected::Invalid { .. } => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Rejected::ServicePortsExhausted { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let message = match rejected {
        Rejected::NoSuchApp(id) => format!("App '{id}' does not exist"),
        Rejected::NoSuchGroup(id) => format!("Group '{id}' does not exist"),
        Rejected::NoSuchDeployment(id) => format!("DeploymentPlan '{id}' does not exist"),
        Rejected::NoSuchInstance(id) => format!("Task '{id}' does not exist"),
        Rejected::NothingWaiting(id) => format!("Application {id} not found in tasks queue."),
        Rejected::AppExists(id) => format!("An app with id [{id}] already exists."),
        Rejected::TooManyDeployments(n) => format!(
            "Max number ({n}) of running deployments is achieved. Wait for existing deployments to complete or cancel one"
        ),
        Rejected::ServicePortsExhausted { from: first, to: last } => {
            format!("No service port is left in the range {first}-{last}")
        }
        Rejected::Locked { deployments, .. } => return locked(status, deployments),
        Rejected::PathTaken(id) => {
            return rule(
                "/",
                format!("Groups and Applications may not have the same identifier: {id}"),
            );
        }
        Rejected::CyclicDependencies(apps) => {
            let list: Vec<&str> = apps.iter().map(|app| app.as_str()).collect();
            return rule(
                "/",
                format!("Dependency graph has cyclic dependencies: {}", list.join(" -> ")),
            );
        }
        Rejected::Invalid { field, problem } => return rule(field, problem.clone()),
        Rejected::AlreadyInitialised
        | Rejected::Stale { .. }
        | Rejected::StaleStep
        | Rejected::NoSuchNode(_)
        | Rejected::NodeBusy(_)
        | Rejected::LastUser(_)
        | Rejected::HeldBack { .. }
        | Rejected::TooOld { .. }
        | Rejected::NotInvited
        | Rejected::BadCertificate(_)
        | Rejected::UserExists(_)
        | Rejected::NoSuchUser(_)
        | Rejected::NoSuchRole(_) => rejected.to_string(),
    };
    match rejected {
        Rejected::NoSuchDeployment(_) | Rejected::NothingWaiting(_) => {
            body(status, &message, Some([(); 0]))
        }
        _ => plain(status, &message),
    }
}

fn rule(path: &str, text: String) -> Response {
    Error::rule(path, text).response()
}

/// The web interface offers its force dialog where the message holds `force=true`.
fn locked(status: StatusCode, deployments: &[DeploymentId]) -> Response {
    let message = "App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.";
    let deployments = Some(deployments.iter().map(|id| Id { id }).collect());
    reply::json(status, &Body { message, details: None::<()>, deployments })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{instance::InstanceId, node::NodeId, path::PathId};

    #[test]
    fn a_command_that_nobody_decided_says_why() {
        use ProposeError as E;
        for (error, status) in [
            (E::NoLeader, 503),
            (E::DiskFull, 503),
            (E::Stopped("torn page".into()), 503),
            (E::Unknown, 503),
            (E::TooLarge { n_bytes: 9, n_bytes_max: 8 }, 413),
        ] {
            let told = Error::Undecided(error.clone());
            assert_eq!(told.to_string(), error.to_string());
            assert_eq!(told.response().status(), status, "{error}");
        }
    }

    #[test]
    fn every_refusal_has_its_status_and_text() {
        let app = || PathId::parse("/a");
        let deployment = || DeploymentId::from("d");
        let cases = [
            (Rejected::AlreadyInitialised, 409, r#""message":"the cluster is already"#),
            (Rejected::NoSuchApp(app()), 404, r#"{"message":"App '/a' does not exist"}"#),
            (Rejected::AppExists(app()), 409, "already exists"),
            (Rejected::PathTaken(app()), 422, "may not have the same identifier"),
            (Rejected::NoSuchGroup(app()), 404, "Group '/a' does not exist"),
            (Rejected::Stale { app: app() }, 409, "changed meanwhile"),
            (
                Rejected::Locked { apps: vec![app()], deployments: vec![deployment()] },
                409,
                r#"?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.","deployments":[{"id":"d"}]}"#,
            ),
            (Rejected::TooManyDeployments(100), 403, "Max number (100) of running deployments"),
            (Rejected::CyclicDependencies(vec![app()]), 422, "cyclic dependencies"),
            (Rejected::ServicePortsExhausted { from: 1, to: 2 }, 500, "1-2"),
            (
                Rejected::NoSuchDeployment(deployment()),
                404,
                r#"{"message":"DeploymentPlan 'd' does not exist","details":[]}"#,
            ),
            (Rejected::StaleStep, 409, "step"),
            (Rejected::NoSuchInstance(InstanceId::from("i")), 404, "Task 'i' does not exist"),
            (Rejected::NoSuchNode(NodeId::from("n")), 404, "node n"),
            (Rejected::NodeBusy(NodeId::from("n")), 409, "node n"),
            (
                Rejected::NothingWaiting(app()),
                404,
                r#"{"message":"Application /a not found in tasks queue.","details":[]}"#,
            ),
            (Rejected::UserExists("u".into()), 409, "user u"),
            (Rejected::NoSuchUser("u".into()), 404, "user u"),
            (Rejected::NoSuchRole("r".into()), 404, "role r"),
            (
                Rejected::Invalid { field: "/x".into(), problem: "bad".into() },
                422,
                r#"{"message":"Object is not valid","details":[{"path":"/x","errors":["bad"]}]}"#,
            ),
        ];
        for (case, status, text) in cases {
            let response = rejected(&case);
            let body = String::from_utf8_lossy(response.body().bytes().unwrap()).into_owned();
            assert_eq!(response.status().as_u16(), status, "{case:?}");
            assert!(body.contains(text), "{case:?}: {body}");
        }
    }
}
