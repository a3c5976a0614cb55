//! Counts of tasks while definitions change.

use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tepui::{
    compat::marathon::Dialect,
    http::{Body, Handler as _},
};

use super::cluster::Cluster;

pub async fn ask(dialect: &Dialect, method: &str, path: &str, body: &Value) -> Value {
    let request = http::Request::builder().method(method).uri(path);
    let request = request.header("content-type", "application/json");
    let request = request.body(Body::from(body.to_string())).unwrap();
    let response = dialect.call(request).await;
    let is_success = response.status().is_success();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert!(is_success, "{method} {path}: {}", String::from_utf8_lossy(&bytes));
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

/// An upgrade that adds a check asks more of new instances, not of those that run.
#[tokio::test]
async fn an_old_instance_is_healthy_by_its_own_checks_during_an_upgrade() {
    let cluster = Cluster::new(1);
    let dialect = cluster.dialect();
    let check = json!({"protocol": "TCP", "gracePeriodSeconds": 5});
    let app = json!({"id": "/web", "cmd": "serve", "healthChecks": [check]});
    ask(&dialect, "POST", "/v2/apps", &app).await;
    cluster.settle();
    let two = json!({"healthChecks": [check, {"protocol": "HTTP", "path": "/ready"}]});
    ask(&dialect, "PUT", "/v2/apps/web", &two).await;
    cluster.deploy();
    let shown = ask(&dialect, "GET", "/v2/apps/web?embed=app.taskStats", &json!({})).await;
    let app = &shown["app"];
    assert_eq!((&app["tasksRunning"], &app["tasksHealthy"]), (&json!(1), &json!(1)), "{app}");
    let old = &app["taskStats"]["withOutdatedConfig"]["stats"]["counts"];
    assert_eq!((&old["healthy"], &old["unhealthy"]), (&json!(1), &json!(0)), "{app}");
}
