//! Tests of the set of tools: what an operator may say, what a request may narrow, what becomes of tools that fail.

use crate::tools::call::Argument;
use crate::tools::call::Call;
use crate::tools::call::Declaration;
use crate::tools::set::Error;
use crate::tools::set::ToolSet;
use crate::tools::tool::Given;
use crate::tools::tool::Tool;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::Sender;
use std::sync::mpsc::channel;
use std::time::Duration;
use std::time::Instant;

/// Does what its argument says.
struct Odd {
    /// Hangs until something comes, or the other end is gone.
    wait: Mutex<Receiver<()>>,
}

impl Tool for Odd {
    fn declarations(&self) -> Vec<Declaration> {
        let declare = |name| Declaration::of_texts(name, "", &[("how", "")]);
        vec![declare("odd"), declare("odder")]
    }

    fn run(&self, call: &Call, given: &mut Given, _: Instant) -> Result<String, String> {
        let [how] = call.argument.texts(["how"])?;
        match how.as_str() {
            "hang" => {
                given.facts = Some("changed".into());
                let _ = self.wait.lock().unwrap().recv();
                Ok("went on".to_owned())
            }
            "panic" => panic!("as wanted"),
            "fail" => Err("as wanted".to_owned()),
            "remember" => {
                given.facts = Some("remembered".into());
                Ok(String::new())
            }
            _ => Ok(how.repeat(2000)),
        }
    }
}

fn odd() -> (Sender<()>, ToolSet) {
    let (go, wait) = channel();
    let mut set = ToolSet::parse(&["calculator".to_owned(), "graph".to_owned()]).unwrap();
    set.add("oddities", Box::new(Odd { wait: Mutex::new(wait) }));
    (go, set)
}

fn call(name: &str, text: &str) -> Call {
    Call { name: name.to_owned(), argument: Argument::Text(text.to_owned()) }
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn names(set: &ToolSet) -> Vec<&str> {
    set.declarations().map(|declaration| declaration.name.as_str()).collect()
}

#[test]
fn tools_are_allowed_by_name_and_mistakes_are_named() {
    let parse = |entries: &[&str]| {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        ToolSet::parse(&entries)
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.md"), "# A\n\nText.").unwrap();
    let lookup = format!("lookup={}", folder.path().display());
    let set =
        parse(&["graph", &lookup, "http=a.org", "calculator", "http=http://b.org:81"]).unwrap();
    assert_eq!(names(&set), ["neighbours", "path", "search", "lookup", "fetch", "calculator"]);
    let fetch = set.declarations().find(|known| known.name == "fetch").unwrap();
    assert!(fetch.description.contains("https://a.org:443, http://b.org:81"), "{fetch:?}");
    assert!(parse(&[]).unwrap().is_empty());
    for (entries, says) in [
        (vec!["wikipedia"], "there are calculator, graph"),
        (vec![""], "there is no such tool"),
        (vec!["lookup"], "needs a value"),
        (vec!["http"], "needs a value"),
        (vec!["graph=x"], "takes no value"),
        (vec!["graph", "graph"], "twice"),
        (vec!["http=a.org", "http=a.org"], "twice"),
        (vec!["http=a.org", "http=b.org/path"], "b.org/path: it is no host"),
        (vec!["lookup=/nowhere/at/all"], "/nowhere/at/all"),
    ] {
        let Err(error) = parse(&entries) else { panic!("{entries:?}") };
        let said = error.to_string();
        assert!(said.starts_with("--tools ") && said.contains(says), "{entries:?}: {said}");
    }
}

#[tokio::test]
async fn tools_of_servers_come_after_those_of_the_program() {
    let open = async |entries: &[&str]| {
        ToolSet::open(entries.iter().map(|entry| (*entry).to_owned()).collect()).await
    };
    assert_eq!(names(&open(&["graph", "calculator"]).await.unwrap()).len(), 3);
    assert!(open(&["graph=1"]).await.is_err());
    let Err(error) = open(&["graph", "mcp=/nowhere/at/all --flag"]).await else { panic!() };
    let says = if cfg!(feature = "mcp") { "does not start" } else { "without MCP" };
    let said = error.to_string();
    assert!(said.starts_with("--tools mcp=/nowhere") && said.contains(says), "{said}");
}

#[test]
fn a_request_narrows_and_never_widens() {
    let (_go, set) = odd();
    let narrowed = |set: &ToolSet, names: &[&str]| {
        set.narrowed(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(names(&narrowed(&set, &["odder", "calculator"]).unwrap()), ["calculator", "odder"]);
    let narrow = narrowed(&set, &["graph"]).unwrap();
    assert_eq!(names(&narrow), ["neighbours", "path"]);
    assert!(narrowed(&set, &[]).unwrap().is_empty());
    let Err(refused) = narrowed(&narrow, &["calculator"]) else { panic!("widened") };
    let allowed = "neighbours, path".to_owned();
    assert_eq!(refused, Error::Unknown { name: "calculator".to_owned(), allowed });
}

#[tokio::test]
async fn failing_and_missing_tools_are_observations() {
    let (_go, set) = odd();
    let mut given = Given::default();
    for (name, argument, says) in [
        ("calculator", "1/0", "calculator failed: division by zero"),
        ("odd", "fail", "odd failed: as wanted"),
        ("odd", "panic", "odd failed"),
        ("wikipedia", "x", "Invalid action: there is no wikipedia; there are calculator,"),
        ("path", "a, b", "no facts"),
    ] {
        let observed = set.run(&call(name, argument), &mut given, later()).await;
        assert!(observed.is_error && observed.text.contains(says), "{name}: {observed:?}");
    }
    let observed = set.run(&call("Calculator", "48/2"), &mut given, later()).await;
    assert_eq!((observed.text.as_str(), observed.is_error), ("24", false));
    set.run(&call("odd", "remember"), &mut given, later()).await;
    assert_eq!(given.facts.as_deref(), Some("remembered"));
}

#[tokio::test]
async fn long_answers_are_cut_and_say_so() {
    let (_go, set) = odd();
    let mut given = Given::default();
    let observed = set.run(&call("odd", "é-"), &mut given, later()).await;
    assert_eq!(observed.text.chars().count(), 4000);
    let observed = set.run(&call("odd", "é-x"), &mut given, later()).await;
    assert!(observed.text.ends_with("[cut at 4000 characters]"), "{}", observed.text);
    let observed = set.run(&call(&"long ".repeat(2000), ""), &mut given, later()).await;
    assert!(observed.text.ends_with("characters]") && observed.is_error);
}

#[tokio::test]
async fn a_tool_that_hangs_is_cut_at_its_deadline_and_others_go_on() {
    let (go, set) = odd();
    let mut given = Given::default();
    let soon = Instant::now() + Duration::from_millis(30);
    let observed = set.run(&call("odd", "hang"), &mut given, soon).await;
    assert!(observed.is_error && observed.text.contains("cut off"), "{observed:?}");
    assert_eq!(given, Given::default());
    let observed = set.run(&call("calculator", "2^10"), &mut given, later()).await;
    assert_eq!(observed.text, "1024");
    drop(go);
}

#[tokio::test]
async fn tools_that_hang_do_not_pile_up() {
    let (go, set) = odd();
    let soon = || Instant::now() + Duration::from_millis(50);
    let hang = || async {
        let deadline = soon();
        set.run(&call("odd", "hang"), &mut Given::default(), deadline).await
    };
    let cut = futures::future::join_all((0..100).map(|_| hang())).await;
    assert!(cut.iter().all(|observed| observed.is_error));
    // All places are taken by those that were cut: whoever comes waits, until its own deadline at most.
    let waiting = set.run(&call("odd", "x"), &mut Given::default(), soon()).await;
    assert!(waiting.text.contains("too long"), "{waiting:?}");
    let others = set.run(&call("calculator", "1+1"), &mut Given::default(), later()).await;
    assert_eq!(others.text, "2");
    // Those that hang end, and places are free.
    drop(go);
    let after = set.run(&call("odd", "x"), &mut Given::default(), later()).await;
    assert!(!after.is_error, "{after:?}");
}
