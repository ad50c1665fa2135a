//! config.json field by field: every spelling, every way to say nothing, every form of rotary scaling; and refusals, which
//! name the field.

use crate::support::data;
use candle_core::Device;
use coconut::model::config::Config;
use coconut::model::config::Llama3Scaling;
use coconut::model::config::Rope;
use coconut::model::config::RopeScaling;
use coconut::text::Tokenizer;
use coconut::train::start::Start;
use serde_json::Value;
use serde_json::json;

/// The fields of `base` with those of `changes` over them.
fn with(base: &Value, changes: &Value) -> Value {
    let mut json = base.clone();
    for (name, value) in changes.as_object().unwrap() {
        json[name] = value.clone();
    }
    json
}

fn gpt2() -> Value {
    json!({ "model_type": "gpt2", "vocab_size": 40, "n_positions": 64, "n_ctx": 64, "n_embd": 24, "n_layer": 2, "n_head": 4,
        "eos_token_id": 39 })
}

fn llama() -> Value {
    json!({ "model_type": "llama", "vocab_size": 40, "max_position_embeddings": 64, "hidden_size": 24, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "eos_token_id": 39 })
}

fn qwen(kind: &str) -> Value {
    with(&llama(), &json!({ "model_type": kind }))
}

fn read(json: &Value) -> Config {
    Config::from_json(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn refusal(json: &Value) -> String {
    match Config::from_json(json) {
        Ok(_) => panic!("accepted: {json}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_size_of_gpt2_has_two_names_and_a_file_may_have_both() {
    let common = json!({ "model_type": "gpt2", "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
        "max_position_embeddings": 64 });
    // As in transformers, the common name counts; a null one does not.
    let both = json!({ "n_embd": 12, "n_layer": 9, "n_head": 3, "n_positions": 32, "n_ctx": 16 });
    let nulls = json!({ "n_embd": null, "n_layer": null, "n_head": null, "n_positions": null, "n_ctx": null });
    let own = json!({ "hidden_size": null, "max_position_embeddings": null });
    for json in [gpt2(), with(&gpt2(), &own), with(&common, &both), with(&common, &nulls)] {
        let config = read(&json);
        let sizes = (config.width, config.layers, config.heads, config.max_positions);
        assert_eq!(sizes, (24, 2, 4, 64), "{json}");
    }
    let mut old = gpt2();
    old["n_positions"] = Value::Null;
    assert_eq!(read(&old).max_positions, 64, "n_ctx is better than a default");
    assert_eq!(read(&json!({ "model_type": "gpt2" })).parameter_count(), 124_439_808);
}

/// null is how Python says that a field is not set; -1 and -100 are how config classes of this field say it of ids.
#[test]
fn null_is_absent_and_so_is_a_negative_id() {
    let models = [gpt2(), llama(), qwen("qwen2"), qwen("qwen3")];
    for model in models {
        let plain = format!("{:?}", read(&model));
        let needed = ["model_type", "vocab_size", "max_position_embeddings", "n_positions"];
        let sizes: Vec<&String> = model.as_object().unwrap().keys().collect();
        for field in [
            "tie_word_embeddings",
            "attention_bias",
            "mlp_bias",
            "hidden_act",
            "rms_norm_eps",
            "rope_theta",
            "rope_scaling",
            "rope_parameters",
            "use_sliding_window",
            "sliding_window",
            "max_window_layers",
            "layer_types",
            "head_dim",
            "activation_function",
            "scale_attn_weights",
            "scale_attn_by_inverse_layer_idx",
            "layer_norm_epsilon",
            "n_inner",
            "partial_rotary_factor",
            "latent_id",
            "latent_start_id",
            "latent_end_id",
            "target_id",
            "torch_dtype",
            "dtype",
            "quantization_config",
            "pad_token_id",
        ] {
            assert!(!sizes.iter().any(|size| *size == field) && !needed.contains(&field));
            let null = read(&with(&model, &json!({ field: null })));
            assert_eq!(format!("{null:?}"), plain, "{field}");
        }
        for unset in [json!(-1), json!(-100), json!(null), json!([]), json!([-1, null])] {
            let config = read(&with(&model, &json!({ "eos_token_id": unset })));
            assert!(config.eos_ids.is_empty(), "{unset}");
        }
        for unset in [json!(-1), json!(-100), json!(null)] {
            let ids =
                json!({ "latent_id": unset, "latent_start_id": unset, "latent_end_id": unset });
            assert_eq!(format!("{:?}", read(&with(&model, &ids))), plain, "{unset}");
        }
        let some = json!({ "eos_token_id": [-1, 7, null, 8, 1_000_000] });
        assert_eq!(read(&with(&model, &some)).eos_ids, [7, 8], "outside the vocabulary is no end");
        let unknown =
            json!({ "torch_dtype": "bfloat16", "dtype": "float32", "auto_map": { "a": [1] } });
        assert_eq!(format!("{:?}", read(&with(&model, &unknown))), plain);
    }
    let heads = json!({ "num_key_value_heads": null });
    assert_eq!(read(&with(&llama(), &heads)).kv_heads, 4);
    assert_eq!(read(&with(&qwen("qwen2"), &heads)).kv_heads, 4);
    assert_eq!(read(&qwen("qwen3")).head_size, 128);
    assert_eq!(read(&qwen("qwen2")).head_size, 6);
}

/// Fields, the base of the wavelengths, the scaling: plain, linear by 2, or Llama 3's with its original length.
const ROTARY: &str = r#"
    {} | 10000 | plain
    {"rope_theta": 5e5, "rope_scaling": null} | 500000 | plain
    {"rope_theta": 500000, "rope_scaling": {}} | 500000 | plain
    {"rope_parameters": {}} | 10000 | plain
    {"rope_parameters": {"rope_theta": 5e3}} | 5000 | plain
    {"rope_theta": 7e3, "rope_parameters": {"rope_type": "default"}} | 7000 | plain
    {"rope_theta": 7e3, "rope_parameters": {"rope_theta": 5e3, "partial_rotary_factor": 1.0}} | 5000 | plain
    {"rope_scaling": {"type": "linear", "factor": 2.0}} | 10000 | linear
    {"rope_scaling": {"rope_type": null, "type": "linear", "factor": 2}} | 10000 | linear
    {"rope_scaling": {"rope_type": "linear", "type": "linear", "factor": 2}} | 10000 | linear
    {"rope_parameters": {"type": "linear", "factor": 2, "rope_theta": 5e3}} | 5000 | linear
    {"rope_parameters": {"full_attention": {"type": "linear", "factor": 2}, "sliding_attention": null}} | 10000 | linear
    {"rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": {"rope_type": "default"}} | 10000 | linear
    {"rope_scaling": {}, "rope_parameters": {"type": "linear", "factor": 2}} | 10000 | linear
    {"rope_scaling": {"type": "dynamic", "factor": 4.0}} | 10000 | plain
    {"rope_theta": 5e5, "rope_scaling": {"type": "llama3", LLAMA3, "original_max_position_embeddings": 16}} | 500000 | 16
    {"rope_scaling": {"rope_type": "llama3", LLAMA3}} | 10000 | 64
    {"rope_scaling": {"rope_type": "llama3", LLAMA3}, "original_max_position_embeddings": 32} | 10000 | 32
"#;

#[test]
fn rotary_positions_are_read_in_every_form() {
    let llama3 = r#""factor": 8, "low_freq_factor": 1, "high_freq_factor": 4.0"#;
    for line in lines(&ROTARY.replace("LLAMA3", llama3)) {
        let [fields, theta, scaling] = line[..] else { panic!("{line:?}") };
        let scaling = match scaling {
            "plain" => RopeScaling::Plain,
            "linear" => RopeScaling::Linear { factor: 2.0 },
            original => RopeScaling::Llama3(Llama3Scaling {
                factor: 8.0,
                low_freq_factor: 1.0,
                high_freq_factor: 4.0,
                original_max_position_embeddings: original.parse().unwrap(),
            }),
        };
        let rope = Some(Rope { theta: theta.parse().unwrap(), scaling });
        for model in [llama(), qwen("qwen2"), qwen("qwen3")] {
            let config = read(&with(&model, &serde_json::from_str(fields).unwrap()));
            assert_eq!(config.rope, rope, "{fields}");
        }
    }
}

/// The parts of each line of a table.
fn lines(table: &str) -> Vec<Vec<&str>> {
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| line.split(" | ").collect()).collect()
}

/// Qwen's files speak of windows that are not there.
#[test]
fn a_sliding_window_is_refused_where_there_is_one() {
    let full = json!(["full_attention", "full_attention"]);
    let mixed = json!(["full_attention", "sliding_attention"]);
    for kind in ["qwen2", "qwen3"] {
        for fields in [
            json!({ "use_sliding_window": false, "sliding_window": 16, "max_window_layers": 0 }),
            json!({ "use_sliding_window": true, "sliding_window": null, "max_window_layers": 0 }),
            json!({ "use_sliding_window": true, "sliding_window": 16, "max_window_layers": 2 }),
            json!({ "use_sliding_window": true, "sliding_window": 16 }),
            json!({ "use_sliding_window": true, "sliding_window": 64, "max_window_layers": 0, "layer_types": mixed }),
            json!({ "use_sliding_window": true, "sliding_window": 16, "max_window_layers": 0, "layer_types": full }),
        ] {
            read(&with(&qwen(kind), &fields));
        }
        for (fields, named) in [
            (
                json!({ "use_sliding_window": true, "sliding_window": 16, "max_window_layers": 1 }),
                "`use_sliding_window`",
            ),
            (
                json!({ "use_sliding_window": true, "sliding_window": 16, "layer_types": mixed }),
                "`layer_types`",
            ),
            (json!({ "layer_types": mixed }), "`layer_types`"),
            (
                json!({ "layer_types": ["full_attention", "linear_attention"] }),
                "`linear_attention`",
            ),
        ] {
            let said = refusal(&with(&qwen(kind), &fields));
            assert!(said.contains(named), "{fields}: {said}");
        }
    }
}

/// Fields of a Llama, and the one that is refused.
const REFUSED: &str = r#"
    {"model_type": "mistral"} | model_type
    {"model_type": null} | model_type
    {"hidden_act": "relu6"} | hidden_act
    {"hidden_act": 3} | hidden_act
    {"rms_norm_eps": "1e-5"} | rms_norm_eps
    {"tie_word_embeddings": "yes"} | tie_word_embeddings
    {"attention_bias": 1} | attention_bias
    {"mlp_bias": true} | mlp_bias
    {"num_key_value_heads": 3} | num_key_value_heads
    {"head_dim": 5} | head_dim
    {"rope_theta": "1e6"} | rope_theta
    {"rope_theta": 0} | rope_theta
    {"rope_scaling": "linear"} | rope_scaling
    {"rope_scaling": {"type": "yarn", "factor": 4.0}} | rope_scaling.rope_type
    {"rope_scaling": {"rope_type": 3}} | rope_scaling.rope_type
    {"rope_scaling": {"type": "linear"}} | rope_scaling.factor
    {"rope_scaling": {"type": "linear", "factor": 0}} | rope_scaling.factor
    {"rope_scaling": {"type": "llama3", "factor": 8.0}} | rope_scaling.low_freq_factor
    {"rope_parameters": {"rope_type": "longrope"}} | rope_parameters.rope_type
    {"rope_parameters": {"rope_theta": -1}} | rope_parameters.rope_theta
    {"rope_parameters": {"full_attention": {"type": "yarn"}}} | rope_parameters.full_attention.rope_type
    {"rope_parameters": {"partial_rotary_factor": 0.5}} | rope_parameters.partial_rotary_factor
    {"partial_rotary_factor": 0.5} | partial_rotary_factor
    {"eos_token_id": "</s>"} | eos_token_id
    {"eos_token_id": [2, "</s>"]} | eos_token_id
    {"eos_token_id": 4294967296} | eos_token_id
    {"latent_start_id": 40} | latent_start_id
    {"latent_end_id": 1.5} | latent_end_id
"#;

fn assert_refused(model: &Value, fields: &Value, name: &str) {
    let said = refusal(&with(model, fields));
    assert!(said.contains(&format!("`{name}`")), "{fields}: {said}");
}

#[test]
fn a_refusal_names_the_field() {
    for line in lines(REFUSED) {
        let [fields, name] = line[..] else { panic!("{line:?}") };
        assert_refused(&llama(), &serde_json::from_str(fields).unwrap(), name);
    }
    for (fields, name) in [
        (json!({ "scale_attn_weights": false }), "scale_attn_weights"),
        (json!({ "scale_attn_by_inverse_layer_idx": true }), "scale_attn_by_inverse_layer_idx"),
        (json!({ "activation_function": "tanh" }), "activation_function"),
    ] {
        assert_refused(&gpt2(), &fields, name);
    }
    let said = refusal(&json!([1]));
    assert!(said.contains("`model_type`") && said.contains("an object"), "{said}");
}

#[test]
fn a_size_that_is_none_is_refused_by_its_name() {
    let own = ["n_embd", "n_layer", "n_head", "n_positions", "vocab_size", "n_inner"];
    let common = [
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "max_position_embeddings",
        "intermediate_size",
        "vocab_size",
    ];
    let fields = own.map(|field| (gpt2(), field)).into_iter();
    for (model, field) in fields.chain(common.map(|field| (llama(), field))) {
        let numbers = [json!(-1), json!(0), json!(1.5), json!(1u64 << 40)];
        let others = [json!("768"), json!([768]), json!({}), json!(true)];
        for wrong in numbers.into_iter().chain(others) {
            assert_refused(&model, &json!({ field: wrong }), field);
        }
    }
}

/// Beside weights, a default that does not fit is noticed. Random weights would follow it.
#[test]
fn random_weights_want_their_sizes_named() {
    for (model, fields) in [
        (gpt2(), &["n_embd", "n_layer", "n_head"][..]),
        (
            llama(),
            &["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"][..],
        ),
    ] {
        let tokenizer = Tokenizer::load(&data("coconut-gpt2-hf").join("tokenizer.json")).unwrap();
        for field in fields {
            let json = with(&model, &json!({ *field: null }));
            let said = Start::random(json, tokenizer.clone(), "<|endoftext|>", (1, &Device::Cpu))
                .unwrap_err();
            assert!(said.to_string().contains(&format!("`{field}`")), "{said}");
        }
        Start::random(model, tokenizer, "<|endoftext|>", (1, &Device::Cpu)).unwrap();
    }
}
