//! Tools that hang: what waits for them holds nothing of the engine, is bounded, and keeps nobody from being answered.

use crate::tools::ASKED;
use crate::tools::FACTS;
use crate::tools::MODEL;
use crate::wire::Wire;
use coconut::tools::calculator::Calculator;
use coconut::tools::call::Call;
use coconut::tools::call::Declaration;
use coconut::tools::set::ToolSet;
use coconut::tools::tool::Given;
use coconut::tools::tool::Tool;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::json;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::channel;
use std::time::Duration;
use std::time::Instant;

/// A tool that answers when the test is over.
struct Hanging(Mutex<Receiver<()>>);

impl Tool for Hanging {
    fn declarations(&self) -> Vec<Declaration> {
        vec![Declaration::of_texts("path", "Never comes back.", &[("from", ""), ("to", "")])]
    }

    fn run(&self, _: &Call, _: &mut Given, _: Instant) -> Result<String, String> {
        let _ = self.0.lock().unwrap().recv();
        Ok("at last".to_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_hanging_tools_is_bounded_and_others_are_answered() {
    let (release, hung) = channel();
    let mut tools = ToolSet::default();
    tools.add("hanging", Box::new(Hanging(Mutex::new(hung))));
    tools.add("calculator", Box::new(Calculator));
    let wire = Wire::acting(MODEL, tools, Duration::from_secs(30));
    let body = json!({"question": ASKED, "facts": FACTS});
    let mut flood: FuturesUnordered<_> = (0..300).map(|_| wire.ask(body.clone())).collect();
    // As many are turned away as there are too many; the others wait.
    for _ in 0..300 - 256 {
        let refused = flood.next().await.unwrap();
        assert_eq!(refused.status, 429, "{refused:?}");
        assert!(refused.header("retry-after").is_some());
    }
    let metrics = &wire.metrics;
    let refused = metrics.rejected_total.with_label_values(&["queue_full"]).get();
    assert_eq!(refused, 300 - 256, "whoever is told to come back is counted");
    let quiet = async {
        while metrics.tools_running.get() < 256 || metrics.running.get() > 0 {
            tokio::select! { _ = flood.next() => panic!("nobody is answered"), () = tokio::task::yield_now() => {} }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), quiet).await.unwrap();
    assert_eq!((metrics.dialogues.get(), metrics.kv_positions_reserved.get()), (256, 0));

    // Who goes away makes room, and whoever comes then is answered as long as it needs no tool that hangs.
    drop(flood);
    assert_eq!(metrics.dialogues.get(), 0);
    let answer =
        wire.ask(json!({"question": ASKED, "tools": ["calculator"], "max_rounds": 1})).await;
    assert_eq!(answer.status, 200);
    drop(release);
}

#[tokio::test]
async fn a_tool_that_hangs_is_an_observation_at_its_deadline() {
    let (release, hung) = channel();
    let mut tools = ToolSet::default();
    tools.add("hanging", Box::new(Hanging(Mutex::new(hung))));
    let wire = Wire::acting(MODEL, tools, Duration::from_millis(20));
    let answer = wire.ask(json!({"question": ASKED, "facts": FACTS, "max_rounds": 1})).await.json();
    let turn = &answer["trajectory"][0];
    assert!(turn["observation"].as_str().unwrap().contains("took too long"), "{answer}");
    assert_eq!(wire.metrics.tool_calls_total.with_label_values(&["path", "error"]).get(), 1);
    drop(release);
}
