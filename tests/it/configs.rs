//! config.json field by field: every spelling, every way to say nothing, every form of rotary scaling; and refusals, which
//! name the field.

use crate::support::data;
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

#[test]
fn rotary_positions_are_read_in_every_form() {
    let three = json!({ "rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16 });
    let llama3 = |original: f64| {
        let (factor, low_freq_factor, high_freq_factor) = (8.0, 1.0, 4.0);
        RopeScaling::Llama3(Llama3Scaling {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_position_embeddings: original,
        })
    };
    let mut three_without = three.clone();
    three_without["original_max_position_embeddings"] = Value::Null;
    let linear = || RopeScaling::Linear { factor: 2.0 };
    let both = json!({ "full_attention": { "rope_type": "linear", "factor": 2, "rope_theta": 5e3 }, "sliding_attention": null });
    for (fields, theta, scaling) in [
        (json!({}), 1e4, RopeScaling::Plain),
        (json!({ "rope_theta": 5e5, "rope_scaling": null }), 5e5, RopeScaling::Plain),
        (json!({ "rope_theta": 500_000, "rope_scaling": {} }), 5e5, RopeScaling::Plain),
        (json!({ "rope_parameters": {} }), 1e4, RopeScaling::Plain),
        (json!({ "rope_parameters": { "rope_theta": 5e3 } }), 5e3, RopeScaling::Plain),
        (
            json!({ "rope_theta": 7e3, "rope_parameters": { "rope_type": "default" } }),
            7e3,
            RopeScaling::Plain,
        ),
        (
            json!({ "rope_theta": 7e3, "rope_parameters": { "rope_theta": 5e3, "partial_rotary_factor": 1.0 } }),
            5e3,
            RopeScaling::Plain,
        ),
        (json!({ "rope_scaling": { "type": "linear", "factor": 2.0 } }), 1e4, linear()),
        (
            json!({ "rope_scaling": { "rope_type": null, "type": "linear", "factor": 2 } }),
            1e4,
            linear(),
        ),
        (
            json!({ "rope_scaling": { "rope_type": "linear", "type": "linear", "factor": 2 } }),
            1e4,
            linear(),
        ),
        (
            json!({ "rope_parameters": { "type": "linear", "factor": 2, "rope_theta": 5e3 } }),
            5e3,
            linear(),
        ),
        (json!({ "rope_parameters": both }), 5e3, linear()),
        // As transformers 5 reads a file that both versions have written.
        (
            json!({ "rope_scaling": { "type": "linear", "factor": 2 }, "rope_parameters": { "rope_type": "default" } }),
            1e4,
            linear(),
        ),
        (
            json!({ "rope_scaling": {}, "rope_parameters": { "type": "linear", "factor": 2 } }),
            1e4,
            linear(),
        ),
        // Has no effect on sequences that fit.
        (json!({ "rope_scaling": { "type": "dynamic", "factor": 4.0 } }), 1e4, RopeScaling::Plain),
        (json!({ "rope_theta": 5e5, "rope_scaling": three }), 5e5, llama3(16.0)),
        (json!({ "rope_scaling": three_without }), 1e4, llama3(64.0)),
        (
            json!({ "rope_scaling": three_without, "original_max_position_embeddings": 32 }),
            1e4,
            llama3(32.0),
        ),
    ] {
        for model in [llama(), qwen("qwen2"), qwen("qwen3")] {
            let rope = read(&with(&model, &fields)).rope;
            assert_eq!(rope, Some(Rope { theta, scaling: scaling.clone() }), "{fields}");
        }
    }
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

#[test]
fn a_refusal_names_the_field() {
    let refused = |model: &Value, fields: &Value, name: &str| {
        let said = refusal(&with(model, fields));
        assert!(said.contains(&format!("`{name}`")), "{fields}: {said}");
    };
    for field in ["n_embd", "n_layer", "n_head", "n_positions", "vocab_size", "n_inner"] {
        for wrong in [
            json!("768"),
            json!(-1),
            json!(0),
            json!(1.5),
            json!(1u64 << 40),
            json!([768]),
            json!(true),
        ] {
            refused(&gpt2(), &json!({ field: wrong }), field);
        }
    }
    for field in [
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "max_position_embeddings",
        "intermediate_size",
        "vocab_size",
    ] {
        for wrong in [json!("768"), json!(-1), json!(0), json!(1.5), json!(1u64 << 40), json!({})] {
            refused(&llama(), &json!({ field: wrong }), field);
        }
    }
    for (fields, name) in [
        (json!({ "model_type": "mistral" }), "model_type"),
        (json!({ "model_type": null }), "model_type"),
        (json!({ "hidden_act": "relu6" }), "hidden_act"),
        (json!({ "hidden_act": 3 }), "hidden_act"),
        (json!({ "rms_norm_eps": "1e-5" }), "rms_norm_eps"),
        (json!({ "tie_word_embeddings": "yes" }), "tie_word_embeddings"),
        (json!({ "attention_bias": 1 }), "attention_bias"),
        (json!({ "mlp_bias": true }), "mlp_bias"),
        (json!({ "num_key_value_heads": 3 }), "num_key_value_heads"),
        (json!({ "head_dim": 5 }), "head_dim"),
        (json!({ "rope_theta": "1e6" }), "rope_theta"),
        (json!({ "rope_theta": 0 }), "rope_theta"),
        (json!({ "rope_scaling": "linear" }), "rope_scaling"),
        (json!({ "rope_scaling": { "type": "yarn", "factor": 4.0 } }), "rope_scaling.rope_type"),
        (json!({ "rope_scaling": { "rope_type": 3 } }), "rope_scaling.rope_type"),
        (json!({ "rope_scaling": { "type": "linear" } }), "rope_scaling.factor"),
        (json!({ "rope_scaling": { "type": "linear", "factor": 0 } }), "rope_scaling.factor"),
        (
            json!({ "rope_scaling": { "type": "llama3", "factor": 8.0 } }),
            "rope_scaling.low_freq_factor",
        ),
        (json!({ "rope_parameters": { "rope_type": "longrope" } }), "rope_parameters.rope_type"),
        (json!({ "rope_parameters": { "rope_theta": -1 } }), "rope_parameters.rope_theta"),
        (
            json!({ "rope_parameters": { "full_attention": { "type": "yarn" } } }),
            "rope_parameters.full_attention.rope_type",
        ),
        (
            json!({ "rope_parameters": { "partial_rotary_factor": 0.5 } }),
            "rope_parameters.partial_rotary_factor",
        ),
        (json!({ "partial_rotary_factor": 0.5 }), "partial_rotary_factor"),
        (json!({ "eos_token_id": "</s>" }), "eos_token_id"),
        (json!({ "eos_token_id": [2, "</s>"] }), "eos_token_id"),
        (json!({ "eos_token_id": 1u64 << 32 }), "eos_token_id"),
        (json!({ "latent_start_id": 40 }), "latent_start_id"),
        (json!({ "latent_end_id": 1.5 }), "latent_end_id"),
    ] {
        refused(&llama(), &fields, name);
    }
    refused(&gpt2(), &json!({ "scale_attn_weights": false }), "scale_attn_weights");
    refused(
        &gpt2(),
        &json!({ "scale_attn_by_inverse_layer_idx": true }),
        "scale_attn_by_inverse_layer_idx",
    );
    refused(&gpt2(), &json!({ "activation_function": "tanh" }), "activation_function");
    let said = refusal(&json!([1]));
    assert!(said.contains("`model_type`") && said.contains("an object"), "{said}");
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
            let said = Start::random(json, tokenizer.clone(), "<|endoftext|>", 1).unwrap_err();
            assert!(said.to_string().contains(&format!("`{field}`")), "{said}");
        }
        Start::random(model, tokenizer, "<|endoftext|>", 1).unwrap();
    }
}
