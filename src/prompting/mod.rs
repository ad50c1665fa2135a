//! Prompts with shots for any language model: standard prompting, chain of thought, Act and ReAct, from one file of worked
//! questions. What precedes the question is the same for every question, so that it is computed once. Knows no model and no
//! tokenizer, and runs no tool.

pub mod file;
pub mod render;
