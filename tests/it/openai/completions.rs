//! `POST /v1/completions`.

use crate::openai::OTHER;
use crate::openai::QUESTION;
use crate::openai::chunks;
use crate::openai::merge;
use crate::openai::ok;
use crate::openai::reason;
use crate::openai::wire;
use crate::wire_thoughts::score;
use serde_json::Value;
use serde_json::json;

const PATH: &str = "/v1/completions";
const MARK: &str = "<|start-latent|>";

#[expect(clippy::needless_pass_by_value, reason = "made where it is given")]
fn prompt(extra: Value) -> Value {
    let mut body = json!({"prompt": format!("{QUESTION}\n"), "max_tokens": 6});
    merge(&mut body, &extra);
    body
}

#[tokio::test]
async fn a_prompt_in_the_recipes_form_is_the_question() {
    let wire = wire();
    for steps in [0, 4] {
        let ours = reason(&wire, json!({"latent_steps": steps})).await;
        let theirs = ok(&wire, PATH, prompt(json!({"latent_steps": steps}))).await;
        let choice = &theirs["choices"][0];
        assert_eq!(choice["text"], ours["text"]);
        assert_eq!(choice["finish_reason"], ours["finish_reason"]);
        assert_eq!(choice["coconut"]["answer"], ours["answer"]);
        let (usage, counts) = (&theirs["usage"], &ours["usage"]);
        assert_eq!(usage["prompt_tokens"], counts["prompt_tokens"]);
        assert_eq!(usage["total_tokens"], counts["total_tokens"]);
        assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], json!(steps));
        assert_eq!(
            (&theirs["object"], &choice["logprobs"]),
            (&json!("text_completion"), &Value::Null)
        );
    }
}

#[tokio::test]
async fn ids_are_the_text_they_stand_for_and_several_prompts_have_choices_in_order() {
    let wire = wire();
    let ids = |text| ok(&wire, "/tokenize", json!({"prompt": text}));
    let (first, second) = (format!("{QUESTION}\n"), format!("{OTHER}\n"));
    let (first_ids, second_ids) = futures::join!(ids(&first), ids(&second));
    let texts = ok(&wire, PATH, prompt(json!({"prompt": [first, second], "n": 2}))).await;
    let many = json!({"prompt": [first_ids["tokens"], second_ids["tokens"]], "n": 2});
    let many = ok(&wire, PATH, prompt(many)).await;
    assert_eq!(texts["choices"], many["choices"]);
    let choices = texts["choices"].as_array().unwrap();
    let indices: Vec<_> = choices.iter().map(|choice| choice["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, [0, 1, 2, 3]);
    let one = ok(&wire, PATH, prompt(json!({"prompt": second_ids["tokens"]}))).await;
    assert_eq!(one["choices"][0]["text"], choices[2]["text"]);
    assert_eq!(choices[2]["text"], choices[3]["text"], "greedy samples are the same");
    assert_eq!(texts["coconut"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn more_prompts_than_the_queue_takes_are_asked_as_there_is_room() {
    use coconut::engine::config::EngineConfig;
    let config = EngineConfig { max_running: 1, max_queued: 1, ..EngineConfig::default() };
    let wire = crate::wire::Wire::answering(config).0;
    let prompts: Vec<_> = (0..9).map(|at| format!("{QUESTION} {at}\n")).collect();
    let all = ok(&wire, PATH, prompt(json!({"prompt": prompts}))).await;
    let chunked = chunks(&wire, PATH, prompt(json!({"prompt": prompts, "stream": true}))).await;
    for (at, choice) in all["choices"].as_array().unwrap().iter().enumerate() {
        assert_eq!(choice["index"], json!(at));
        assert_eq!(said(&chunked, at), choice["text"].as_str().unwrap());
    }
}

/// All that chunks add to a choice.
fn said(chunks: &[Value], index: usize) -> String {
    let choices = chunks.iter().flat_map(|chunk| chunk["choices"].as_array().unwrap());
    let texts = choices.filter(|choice| choice["index"] == json!(index));
    texts.map(|choice| choice["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn chunks_put_together_are_the_whole() {
    let wire = wire();
    let plain = json!({"n": 2, "temperature": 1.2, "seed": 3, "logprobs": 2, "latent_steps": 3});
    let whole = ok(&wire, PATH, prompt(plain.clone())).await;
    let mut streamed = plain;
    let options = json!({"include_usage": true, "continuous_usage_stats": true});
    merge(&mut streamed, &json!({"stream": true, "stream_options": options}));
    let chunks = chunks(&wire, PATH, prompt(streamed)).await;
    for index in 0..2 {
        let choice = &whole["choices"][index];
        assert_eq!(said(&chunks, index), choice["text"].as_str().unwrap());
        let added = chunks.iter().flat_map(|chunk| chunk["choices"].as_array().unwrap());
        let added: Vec<_> = added.filter(|choice| choice["index"] == json!(index)).collect();
        for field in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
            let lists = added.iter().filter_map(|choice| choice["logprobs"][field].as_array());
            let all: Vec<Value> = lists.flatten().cloned().collect();
            assert_eq!(json!(all), choice["logprobs"][field], "{field}");
        }
        let ends: Vec<_> =
            added.iter().filter(|choice| !choice["finish_reason"].is_null()).collect();
        assert_eq!(ends.len(), 1);
        assert_eq!(ends[0]["finish_reason"], choice["finish_reason"]);
    }
    let (last, before) = chunks.split_last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &whole["usage"]));
    let counted = |chunk: &Value| chunk["usage"]["total_tokens"].as_u64().unwrap();
    assert!(before.windows(2).all(|pair| counted(&pair[0]) <= counted(&pair[1])));
    assert!(before.iter().all(|chunk| counted(chunk) <= counted(last)));
}

#[tokio::test]
async fn what_was_asked_to_be_seen_of_thoughts_comes_beside() {
    let wire = wire();
    let seen = json!({"latent_steps": 3, "include": ["thoughts", "thought_vectors"]});
    let ours = reason(&wire, seen.clone()).await;
    let theirs = ok(&wire, PATH, prompt(seen.clone())).await;
    assert_eq!(theirs["coconut"][0]["thoughts"], ours["thoughts"]);
    let mut streamed = seen;
    streamed["stream"] = json!(true);
    let chunks = chunks(&wire, PATH, prompt(streamed)).await;
    let thoughts: Vec<_> =
        chunks.iter().filter_map(|chunk| chunk["progress"].get("thought")).collect();
    assert_eq!(json!(thoughts), ours["thoughts"]);
    assert!(chunks[..3].iter().all(|chunk| chunk["choices"] == json!([])), "thoughts come first");
}

#[tokio::test]
async fn a_sweep_has_a_choice_for_each_number_of_thoughts() {
    let wire = wire();
    let swept = ok(&wire, PATH, prompt(json!({"sweep": [4, 0, 2]}))).await;
    for (index, steps) in [4, 0, 2].into_iter().enumerate() {
        let alone = ok(&wire, PATH, prompt(json!({"latent_steps": steps}))).await;
        let choice = &swept["choices"][index];
        assert_eq!(
            (&choice["index"], &choice["text"]),
            (&json!(index), &alone["choices"][0]["text"])
        );
        assert_eq!(choice["coconut"]["latent_steps"], json!(steps));
    }
}

/// As evaluation harnesses ask for the probability of a continuation: with the prompt shown again.
#[tokio::test]
async fn an_echo_scores_what_follows_the_thoughts_as_our_own_route_does() {
    let wire = wire();
    let continuation = " Bob is a rempus.";
    for steps in [0, 3] {
        let ours = score(
            &wire,
            json!({"question": QUESTION, "continuations": [continuation], "latent_steps": steps}),
        )
        .await;
        let context = format!("{QUESTION}\n{MARK}");
        let count = async |text: &str| {
            let ids = ok(&wire, "/tokenize", json!({"prompt": text})).await;
            ids["count"].as_u64().unwrap() as usize
        };
        let context_tokens = count(&context).await;
        let asked = json!({"prompt": format!("{context}{continuation}"), "echo": true,
            "logprobs": 1, "max_tokens": 1, "latent_steps": steps});
        let theirs = ok(&wire, PATH, asked).await;
        let choice = &theirs["choices"][0];
        let logprobs = choice["logprobs"]["token_logprobs"].as_array().unwrap();
        assert!(logprobs[0].is_null() && choice["logprobs"]["top_logprobs"][0].is_null());
        let scored = &logprobs[context_tokens..logprobs.len() - 1];
        let tokens = ours["scores"][0]["tokens"].as_array().unwrap();
        assert_eq!(scored.len(), tokens.len());
        for (theirs, ours) in scored.iter().zip(tokens) {
            let (theirs, ours) = (theirs.as_f64().unwrap(), ours["logprob"].as_f64().unwrap());
            assert!((theirs - ours).abs() < 1e-4, "{theirs}, {ours}");
        }
        let text = choice["text"].as_str().unwrap();
        assert!(text.starts_with(&format!("{context}{continuation}")), "{text}");
        let texts = choice["logprobs"]["tokens"].as_array().unwrap();
        let joined: String = texts.iter().map(|text| text.as_str().unwrap()).collect();
        assert_eq!(joined, text);
    }
}

/// Who adds up what the prompt ends with leaves out the last entry: one comes also where the answer ends at once.
#[tokio::test]
async fn an_echo_has_an_entry_for_what_ends_the_answer() {
    let wire = crate::wire::Wire::serving(crate::support::models("prosqa"));
    let text = format!("Tom is a lempus. Is Tom a lempus or scrompus?\n{MARK}### Tom is a lempus.");
    let count = ok(&wire, "/tokenize", json!({"prompt": text})).await["count"].as_u64().unwrap();
    let asked =
        json!({"prompt": text, "echo": true, "logprobs": 1, "max_tokens": 1, "latent_steps": 2});
    let choice = ok(&wire, PATH, asked.clone()).await["choices"][0].clone();
    assert_eq!((&choice["text"], &choice["finish_reason"]), (&json!(text), &json!("stop")));
    let logprobs = choice["logprobs"]["token_logprobs"].as_array().unwrap();
    assert_eq!(logprobs.len() as u64, count + 1);
    assert!(logprobs[count as usize].as_f64().unwrap() > -0.1, "the model is sure of its end");
    assert_eq!(choice["logprobs"]["tokens"][count as usize], "");
    let mut streamed = asked;
    streamed["stream"] = json!(true);
    let chunks = chunks(&wire, PATH, streamed).await;
    let entries = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["logprobs"]["token_logprobs"].as_array().cloned());
    assert_eq!(entries.flatten().count() as u64, count + 1);
}

#[tokio::test]
async fn an_echo_shows_end_markers_that_the_prompt_has_and_is_looked_into_as_without() {
    let wire = wire();
    let text = format!("{QUESTION}\n{MARK}<|end-latent|> Bob");
    let asked = json!({"prompt": text, "max_tokens": 2, "latent_steps": 1, "include": ["lens"],
        "inside": {"layers": [1], "top_tokens": 1, "places": ["prompt", "latent", "marker", "answer"]}});
    let plain = ok(&wire, PATH, asked.clone()).await;
    let mut echo = asked;
    echo["echo"] = json!(true);
    echo["logprobs"] = json!(1);
    let echoed = ok(&wire, PATH, echo).await;
    let tokens = echoed["choices"][0]["logprobs"]["tokens"].as_array().unwrap();
    let joined: String = tokens.iter().map(|text| text.as_str().unwrap()).collect();
    assert_eq!(joined, echoed["choices"][0]["text"].as_str().unwrap());
    let places = |answer: &Value| -> Vec<[Value; 3]> {
        let rows = answer["coconut"][0]["inside"].as_array().unwrap().iter();
        rows.map(|row| ["place", "index", "position"].map(|field| row[field].clone())).collect()
    };
    assert_eq!(places(&echoed), places(&plain));
}

#[tokio::test]
async fn prompts_alone_have_as_many_choices_as_were_asked_for() {
    let body = json!({"prompt": [format!("{QUESTION}\n{MARK}"), format!("Is Bob a rempus?\n{MARK}")], "n": 2, "temperature": 1.0,
        "echo": true, "max_tokens": 0});
    let answer = ok(&wire(), PATH, body).await;
    let choices = answer["choices"].as_array().unwrap();
    let indices: Vec<_> = choices.iter().map(|choice| choice["index"].clone()).collect();
    assert_eq!(indices, [0, 1, 2, 3]);
    assert_eq!(choices[0]["text"], choices[1]["text"]);
}

#[tokio::test]
async fn the_most_likely_token_has_exactly_the_log_probability_of_the_greedy_choice() {
    let answer = ok(&wire(), PATH, prompt(json!({"logprobs": 3}))).await;
    let logprobs = &answer["choices"][0]["logprobs"];
    let tokens = logprobs["token_logprobs"].as_array().unwrap();
    for (token, top) in tokens.iter().zip(logprobs["top_logprobs"].as_array().unwrap()) {
        let top = top.as_object().unwrap();
        assert!(top.len() <= 3 && !top.is_empty());
        let most = top.values().map(|value| value.as_f64().unwrap()).fold(f64::MIN, f64::max);
        assert_eq!(token.as_f64().unwrap(), most);
    }
}

#[tokio::test]
async fn a_prompt_may_be_scored_alone() {
    let body = json!({"prompt": format!("{QUESTION}\n{MARK}"), "echo": true, "logprobs": 0, "max_tokens": 0, "latent_steps": 2});
    let answer = ok(&wire(), PATH, body).await;
    let choice = &answer["choices"][0];
    assert_eq!(choice["text"], json!(format!("{QUESTION}\n{MARK}")));
    assert_eq!(answer["usage"]["completion_tokens_details"]["reasoning_tokens"], json!(2));
    assert_eq!(
        choice["logprobs"]["tokens"].as_array().unwrap().len() as u64,
        answer["usage"]["prompt_tokens"].as_u64().unwrap()
    );
}

/// With a tokenizer that writes a space before a word, and none at the beginning of a text.
#[tokio::test]
async fn what_follows_a_word_has_its_space() {
    let wire = crate::wire::Wire::serving(crate::support::models("prosqa"));
    let question = "Tom is a lempus. Every lempus is a yimpus. Is Tom a yimpus or scrompus?";
    let asked = |said: &str| json!({"prompt": format!("{question}\n{MARK}{said}"), "echo": true, "logprobs": 2});
    let whole = ok(&wire, PATH, asked("")).await["choices"][0]["text"].clone();
    let part = ok(&wire, PATH, asked("### Tom")).await;
    let choice = &part["choices"][0];
    assert_eq!(choice["text"], whole, "the same answer, whatever of it was given");
    let logprobs = &choice["logprobs"];
    let texts = logprobs["tokens"].as_array().unwrap().iter().map(|text| text.as_str().unwrap());
    assert_eq!(json!(texts.collect::<String>()), whole, "tokens add up to the text");
    let said = logprobs["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .zip(logprobs["top_logprobs"].as_array().unwrap());
    let found = said.skip(1).filter(|(token, top)| top.get(token.as_str().unwrap()).is_some());
    assert!(found.count() >= 4, "the greedy choice is found by its text: {logprobs}");
}

#[tokio::test]
async fn text_behind_the_thoughts_is_gone_on_with() {
    let wire = wire();
    let whole = ok(&wire, PATH, prompt(json!({}))).await["choices"][0]["text"].clone();
    let whole = whole.as_str().unwrap();
    let marked = ok(&wire, PATH, prompt(json!({"prompt": format!("{QUESTION}\n{MARK}")}))).await;
    assert_eq!(marked["choices"][0]["text"], whole, "the mark at the end changes nothing");
    let closed = format!("{QUESTION}\n{MARK}<|end-latent|>");
    let closed = ok(&wire, PATH, prompt(json!({"prompt": closed}))).await;
    assert_eq!(closed["choices"][0]["text"], whole, "nor do the end markers");
}
