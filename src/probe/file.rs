//! What was found as files: tensors in a safetensors file that numpy opens, and beside it JSON that says what is what. Knows
//! layouts, not how anything was found.

use crate::probe::Asked;
use crate::probe::Found;
use crate::probe::Settings;
use crate::probe::seen::Seen;
use crate::probe::summary::Summary;
use crate::reason::means::NAME as MEANS;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::Value;
use serde_json::json;
use std::path::Path;

/// A tensor before it is written.
struct Array {
    name: &'static str,
    what: &'static str,
    kind: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Writes both files: `path`, and the same with the extension `json`. `model` says what was asked.
///
/// # Errors
/// Where one of them cannot be written.
pub fn write(
    path: &Path,
    (asked, settings): (&[Asked], &Settings),
    found: &Found,
    run: &Value,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let arrays = arrays(settings, found);
    let views = arrays.iter().map(|array| {
        let view = TensorView::new(array.kind, array.shape.clone(), &array.bytes);
        view.map(|view| (array.name, view))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>()?;
    safetensors::serialize_to_file(views, None, path)?;
    let json = description(&arrays, (asked, settings), found, run);
    std::fs::write(path.with_extension("json"), format!("{json:#}\n"))?;
    Ok(())
}

fn description(
    arrays: &[Array],
    (asked, settings): (&[Asked], &Settings),
    found: &Found,
    run: &Value,
) -> Value {
    let tensors: serde_json::Map<String, Value> = arrays
        .iter()
        .map(|array| (array.name.to_owned(), json!({ "shape": array.shape, "what": array.what })))
        .collect();
    let question = |number: u64| asked.iter().find(|one| one.number == number);
    let questions = found.seen.iter().map(|one| {
        let example = question(one.number).map(|asked| &asked.example);
        json!({
            "number": one.number,
            "question": example.map(|example| &example.question),
            "expected": example.map(|example| &example.answer),
            "answers": one.answers,
        })
    });
    json!({
        "run": run,
        "tensors": tensors,
        "edits": settings.edits.iter().map(|edit| edit.name()).collect::<Vec<_>>(),
        "summary": Summary::of(found, &settings.edits),
        "questions": questions.collect::<Vec<_>>(),
    })
}

fn arrays(settings: &Settings, found: &Found) -> Vec<Array> {
    let (seen, n) = (&found.seen, settings.latent_steps);
    let count = seen.len();
    let thoughts = || seen.iter().flat_map(|one| &one.thoughts);
    let top = thoughts().map(|step| step.top.len()).min().unwrap_or(0);
    let tops = || thoughts().flat_map(|step| &step.top[..top]);
    let width = found.means.numbers.len().checked_div(n).unwrap_or(0);
    let numbers = seen.iter().map(|one| one.number as i64);
    let correct = seen.iter().flat_map(|one| &one.correct).map(|&is| u8::from(is));
    let right = seen.iter().flat_map(|one| &one.right).map(|&x| x as f32);
    let mut arrays = vec![
        integers("question_numbers", "(questions): row in the data, from 1", vec![count], numbers),
        floats(
            "thoughts",
            "(questions, n, D): what is fed back",
            vec![count, n, width],
            thoughts().flat_map(|step| &step.vector).copied(),
        ),
        floats(
            "thought_entropy",
            "(questions, n): of what the head makes of a thought, in nats",
            vec![count, n],
            thoughts().map(|step| step.entropy),
        ),
        integers(
            "top_ids",
            "(questions, n, T): what the head makes of a thought, most likely first",
            vec![count, n, top],
            tops().map(|(id, _)| i64::from(*id)),
        ),
        floats(
            "top_probabilities",
            "(questions, n, T): of top_ids",
            vec![count, n, top],
            tops().map(|(_, p)| *p),
        ),
        bytes(
            "correct",
            "(questions, n + 1): whether the answer after k thoughts is right",
            vec![count, n + 1],
            correct,
        ),
        floats(
            "right_logprob",
            "(questions, n + 1): log-probability of the right answer after k thoughts, summed over its tokens",
            vec![count, n + 1],
            right,
        ),
        floats(
            MEANS,
            "(n, D): mean thoughts, for --thought-means",
            vec![n, width],
            found.means.numbers.iter().copied(),
        ),
    ];
    arrays.extend(of_layers(seen, n));
    arrays.extend(of_graphs(seen, n));
    arrays.extend(of_edits(settings, found));
    arrays
}

/// Where layers were looked into.
fn of_layers(seen: &[Seen], n: usize) -> Vec<Array> {
    let steps = || seen.iter().flat_map(|one| &one.thoughts);
    let layers = steps().map(|step| step.layers.len()).min().unwrap_or(0);
    let all = || steps().flat_map(|step| &step.layers);
    let top = all().map(|layer| layer.top.len()).min().unwrap_or(0);
    if layers == 0 {
        return Vec::new();
    }
    let tops = || all().flat_map(move |layer| &layer.top[..top]);
    let shape = vec![seen.len(), n, layers, top];
    vec![
        floats(
            "lens_entropy",
            "(questions, n, layers): of what the head makes of each layer where a thought is fed, the final norm applied",
            shape[..3].to_vec(),
            all().map(|layer| layer.entropy),
        ),
        integers(
            "lens_ids",
            "(questions, n, layers, T): the most likely tokens there; layer 0 is what enters the first block",
            shape.clone(),
            tops().map(|(id, _)| i64::from(*id)),
        ),
        floats(
            "lens_probabilities",
            "(questions, n, layers, T): of lens_ids",
            shape,
            tops().map(|(_, p)| *p),
        ),
    ]
}

/// Where every question is about a graph.
fn of_graphs(seen: &[Seen], n: usize) -> Vec<Array> {
    let count = seen.len();
    if count == 0 || seen.iter().any(|one| one.wrong.is_empty() || one.frontiers.is_empty()) {
        return Vec::new();
    }
    let wrong = seen.iter().flat_map(|one| &one.wrong).map(|&x| x as f32);
    let mass = seen.iter().flat_map(|one| one.frontiers.iter().flatten()).copied();
    vec![
        floats(
            "wrong_logprob",
            "(questions, n + 1): of the other candidate",
            vec![count, n + 1],
            wrong,
        ),
        floats(
            "frontier_mass",
            "(questions, n, n + 1): what the head gives to the nodes that 0, 1 and so on hops lead to",
            vec![count, n, n + 1],
            mass,
        ),
    ]
}

fn of_edits(settings: &Settings, found: &Found) -> Option<Array> {
    let shape = vec![found.edited.len(), settings.edits.len(), settings.latent_steps];
    let all = found.edited.iter().flat_map(|one| one.correct.iter().flatten());
    let all = all.map(|is| is.map_or(f32::NAN, |is| f32::from(u8::from(is))));
    let what = "(questions, edits, n): whether the answer is right with one thought replaced; NaN where that cannot be";
    (!found.edited.is_empty()).then(|| floats("edit_correct", what, shape, all))
}

fn floats(
    name: &'static str,
    what: &'static str,
    shape: Vec<usize>,
    numbers: impl Iterator<Item = f32>,
) -> Array {
    let bytes = numbers.flat_map(f32::to_le_bytes).collect();
    Array { name, what, kind: Dtype::F32, shape, bytes }
}

fn integers(
    name: &'static str,
    what: &'static str,
    shape: Vec<usize>,
    numbers: impl Iterator<Item = i64>,
) -> Array {
    let bytes = numbers.flat_map(i64::to_le_bytes).collect();
    Array { name, what, kind: Dtype::I64, shape, bytes }
}

fn bytes(
    name: &'static str,
    what: &'static str,
    shape: Vec<usize>,
    numbers: impl Iterator<Item = u8>,
) -> Array {
    Array { name, what, kind: Dtype::U8, shape, bytes: numbers.collect() }
}
