//! The event stream of a life: names in order, frames as on the wire.

use http_body_util::BodyExt as _;
use tepui::{
    http::{Body, Response},
    model::instance::Condition,
};

use super::{cluster::Cluster, golden::masked};

/// Everything that lies in a stream now, as text.
async fn drain(body: &mut Body) -> String {
    let mut text = String::new();
    loop {
        // Unconstrained: else the runtime's budget ends the round before the stream does.
        let next = std::pin::pin!(tokio::task::unconstrained(body.frame()));
        match futures_util::poll!(next) {
            std::task::Poll::Ready(Some(Ok(frame))) => {
                let data = frame.into_data().expect("data");
                text.push_str(std::str::from_utf8(&data).expect("UTF-8"));
            }
            _ => return text,
        }
    }
}

/// The event names in order, repetitions in a row told once.
fn names(text: &str) -> Vec<&str> {
    let mut names: Vec<&str> =
        text.split("\r\n").filter_map(|line| line.strip_prefix("event: ")).collect();
    names.dedup();
    names
}

/// The states that status updates tell, in order.
fn statuses(text: &str) -> Vec<String> {
    let bodies = text.split("\r\n").filter_map(|line| line.strip_prefix("data: "));
    let events = bodies.map(|body| serde_json::from_str::<serde_json::Value>(body).unwrap());
    let updates = events.filter(|event| event["eventType"] == "status_update_event");
    updates.map(|event| event["taskStatus"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_task_that_is_prepared_for_long_is_told_when_it_starts() {
    let cluster = Cluster::new(1);
    let uri = "/v2/events?event_type=status_update_event";
    let mut updates = ask(&cluster, "GET", uri, "").await.into_body();
    ask(&cluster, "POST", "/v2/apps", r#"{"id":"/a","cmd":"sleep 100"}"#).await;
    cluster.deploy();
    cluster.deploy();
    cluster.place();
    cluster.run_agents(Condition::Staging);
    assert_eq!(statuses(&drain(&mut updates).await), [""; 0]);
    cluster.run_agents(Condition::Running);
    assert_eq!(statuses(&drain(&mut updates).await), ["TASK_STARTING", "TASK_RUNNING"]);
}

async fn ask(cluster: &std::sync::Arc<Cluster>, method: &str, uri: &str, body: &str) -> Response {
    let request = ::http::Request::builder()
        .method(method)
        .uri(uri)
        .header("accept", "text/event-stream, application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    cluster.dialect().answer(request).await
}

#[tokio::test]
async fn a_life_is_told_in_order() {
    let cluster = Cluster::new(1);
    let mut all = ask(&cluster, "GET", "/v2/events", "").await.into_body();
    let some = "/v2/events?event_type=deployment_success&event_type=app_terminated_event";
    let mut some = ask(&cluster, "GET", some, "").await.into_body();

    let app = r#"{"id":"/a","cmd":"sleep 100","healthChecks":[{"protocol":"TCP"}]}"#;
    assert_eq!(ask(&cluster, "POST", "/v2/apps", app).await.status(), 201);
    cluster.settle();
    let text = drain(&mut all).await;
    assert_eq!(
        names(&text),
        [
            "event_stream_attached",
            "api_post_event",
            "group_change_success",
            "deployment_info",
            "deployment_step_success",
            "deployment_info",
            "add_health_check_event",
            "instance_changed_event", // Scheduled, Provisioned
            "status_update_event",
            "instance_changed_event", // Running
            "health_status_changed_event",
            "instance_health_changed_event",
            "deployment_step_success",
            "deployment_success",
        ],
        "{text}"
    );
    assert_eq!(statuses(&text), ["TASK_STARTING", "TASK_RUNNING"]);
    let first = text.split("\r\n\r\n").next().unwrap();
    assert_eq!(
        masked(first),
        "event: event_stream_attached\r\ndata: {\"remoteAddress\":\"127.0.0.1\",\"eventType\":\"event_stream_attached\",\"timestamp\":\"<time>\"}"
    );

    assert_eq!(ask(&cluster, "DELETE", "/v2/apps/a", "").await.status(), 200);
    cluster.settle();
    let text = drain(&mut all).await;
    assert_eq!(
        names(&text),
        [
            "group_change_success",
            "deployment_info",
            "remove_health_check_event",
            "status_update_event",
            "instance_changed_event",
            "app_terminated_event",
            "deployment_step_success",
            "deployment_success",
        ],
        "{text}"
    );
    assert_eq!(
        names(&drain(&mut some).await),
        ["deployment_success", "app_terminated_event", "deployment_success"]
    );

    // An app of which nothing runs is terminated at once.
    let app = r#"{"id":"/b","cmd":"sleep 100","instances":0}"#;
    assert_eq!(ask(&cluster, "POST", "/v2/apps", app).await.status(), 201);
    cluster.settle();
    assert_eq!(ask(&cluster, "DELETE", "/v2/apps/b", "").await.status(), 200);
    assert!(drain(&mut some).await.contains("app_terminated_event"));
}

#[tokio::test]
async fn a_slow_client_is_cut_and_the_others_hear_of_it() {
    let cluster = Cluster::new(1);
    let mut slow = ask(&cluster, "GET", "/v2/events", "").await.into_body();
    let mut kept =
        ask(&cluster, "GET", "/v2/events?event_type=event_stream_detached", "").await.into_body();
    for n in 0..400 {
        let app = format!(r#"{{"id":"/a{n}","cmd":"sleep 100","instances":0}}"#);
        ask(&cluster, "POST", "/v2/apps", &app).await;
        cluster.settle();
    }
    drain(&mut slow).await;
    let end = slow.frame().await;
    assert!(end.is_none_or(|frame| frame.is_err()), "the stream goes on");
    assert_eq!(names(&drain(&mut kept).await), ["event_stream_detached"]);
}
