//! A real MCP server, written with the official Python SDK, over stdio and HTTP. `tests/mcp/run.sh` starts it.

use coconut::tools::call::Argument;
use coconut::tools::call::Call;
use coconut::tools::call::Observation;
use coconut::tools::set::ToolSet;
use coconut::tools::tool::Given;
use serde_json::Value;
use serde_json::json;
use std::env;
use std::time::Duration;
use std::time::Instant;

/// Where `run.sh` says that the server is.
fn target(variable: &str) -> String {
    let value = env::vars().find_map(|(name, value)| (name == variable).then_some(value));
    format!("mcp={}", value.expect("tests/mcp/run.sh names the server"))
}

async fn run(set: &ToolSet, name: &str, arguments: Value, patience: Duration) -> Observation {
    let argument = match arguments {
        Value::Object(fields) => Argument::Object(fields),
        text => Argument::Text(text.as_str().unwrap().to_owned()),
    };
    let call = Call { name: name.to_owned(), argument };
    set.run(&call, &mut Given::default(), Instant::now() + patience).await
}

async fn check(set: &ToolSet) {
    let long = Duration::from_secs(60);
    let names: Vec<&str> = set.declarations().map(|known| known.name.as_str()).collect();
    assert_eq!(names, ["count", "join", "fail", "wait", "leave"]);
    let counted = run(set, "count", json!("four words of text"), long).await;
    assert_eq!(counted, Observation::found("4"));
    let words = json!({"words": ["a", "b"], "between": "-"});
    assert_eq!(run(set, "join", words, long).await, Observation::found("a-b"));
    let failed = run(set, "fail", json!({"reason": "as wanted"}), long).await;
    assert!(failed.is_error && failed.text.contains("as wanted"), "{failed:?}");
    let wrong = run(set, "count", json!({"word": 1}), long).await;
    assert!(wrong.is_error, "{wrong:?}");
    let start = Instant::now();
    let cut = run(set, "wait", json!("1.5"), Duration::from_millis(100)).await;
    assert!(cut.is_error && start.elapsed() < Duration::from_secs(1), "{cut:?}");
    assert_eq!(run(set, "count", json!("a b"), long).await, Observation::found("2"));
}

#[tokio::test]
#[ignore = "needs a server of Python's mcp: bash tests/mcp/run.sh"]
async fn a_python_server_is_asked_over_stdio() {
    let set = ToolSet::open(vec![target("COCONUT_TEST_MCP_COMMAND")]).await.unwrap();
    check(&set).await;
    let long = Duration::from_secs(60);
    assert!(run(&set, "leave", json!({}), long).await.is_error);
    assert_eq!(run(&set, "count", json!("a b"), long).await, Observation::found("2"));
}

#[tokio::test]
#[ignore = "needs a server of Python's mcp: bash tests/mcp/run.sh"]
async fn a_python_server_is_asked_over_http() {
    let set = ToolSet::open(vec![target("COCONUT_TEST_MCP_URL")]).await.unwrap();
    check(&set).await;
}
