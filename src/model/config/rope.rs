//! Rotary positions as transformers 4 (`rope_theta`, `rope_scaling`) and 5 (`rope_parameters`) write them, and files that
//! both have written. Knows names and kinds of scaling; the angles are computed elsewhere.

use crate::model::config::Llama3Scaling;
use crate::model::config::Rope;
use crate::model::config::RopeScaling;
use crate::model::config::fields::Fields;
use crate::model::error::Result;

/// The default of every architecture here.
const THETA: f64 = 10_000.0;

/// The rotary positions of a model with `max_positions` positions.
pub(super) fn read(top: &Fields<'_>, max_positions: usize) -> Result<Rope> {
    let section = section(top)?;
    let both = [section.as_ref(), Some(top)];
    // What stands in the section goes before what stands at the top.
    let first = |name: &str| -> Result<Option<(&Fields<'_>, f64)>> {
        for fields in both.into_iter().flatten() {
            if let Some(number) = fields.number(name)? {
                return Ok(Some((fields, number)));
            }
        }
        Ok(None)
    };
    let theta = match first("rope_theta")? {
        Some((fields, theta)) if theta <= 0.0 => {
            return Err(fields.invalid("rope_theta", format!("is {theta}; it must be positive")));
        }
        given => given.map_or(THETA, |(_, theta)| theta),
    };
    match first("partial_rotary_factor")? {
        Some((fields, part)) if part != 1.0 => {
            let reason = format!("is {part}; only whole heads are rotated");
            return Err(fields.invalid("partial_rotary_factor", reason));
        }
        _ => {}
    }
    let scaling = match &section {
        Some(section) => scaling(section, top, max_positions)?,
        None => RopeScaling::Plain,
    };
    Ok(Rope { theta, scaling })
}

/// Where the scaling is stated. As transformers 5 does, `rope_scaling` goes before `rope_parameters` unless it is empty,
/// and in one with an entry for each kind of layer, that of full attention counts: no other kind is computed.
fn section<'a>(top: &Fields<'a>) -> Result<Option<Fields<'a>>> {
    let old = top.section("rope_scaling")?.filter(|section| !section.is_empty());
    let Some(section) = old.map_or_else(|| top.section("rope_parameters"), |old| Ok(Some(old)))?
    else {
        return Ok(None);
    };
    Ok(Some(section.section("full_attention")?.unwrap_or(section)))
}

fn scaling(section: &Fields<'_>, top: &Fields<'_>, max_positions: usize) -> Result<RopeScaling> {
    let kind = match section.text("rope_type")? {
        Some(kind) => Some(kind),
        None => section.text("type")?,
    };
    match kind {
        None | Some("default") => Ok(RopeScaling::Plain),
        Some("linear") => Ok(RopeScaling::Linear { factor: positive(section, "factor")? }),
        // Stretches sequences longer than the model's positions, of which there are none here.
        Some("dynamic") => Ok(RopeScaling::Plain),
        Some("llama3") => llama3(section, top, max_positions),
        Some(other) => {
            let reason = format!("is `{other}`; default, linear, dynamic and llama3 are supported");
            Err(section.invalid("rope_type", reason))
        }
    }
}

fn llama3(section: &Fields<'_>, top: &Fields<'_>, max_positions: usize) -> Result<RopeScaling> {
    const ORIGINAL: &str = "original_max_position_embeddings";
    let original = match top.number(ORIGINAL)? {
        Some(original) => original,
        None => section.number(ORIGINAL)?.unwrap_or(max_positions as f64),
    };
    let scaling = Llama3Scaling {
        factor: positive(section, "factor")?,
        low_freq_factor: positive(section, "low_freq_factor")?,
        high_freq_factor: positive(section, "high_freq_factor")?,
        original_max_position_embeddings: original,
    };
    if scaling.high_freq_factor <= scaling.low_freq_factor {
        let reason = format!("is {}; it must be above `low_freq_factor`", scaling.high_freq_factor);
        return Err(section.invalid("high_freq_factor", reason));
    }
    Ok(RopeScaling::Llama3(scaling))
}

fn positive(section: &Fields<'_>, name: &str) -> Result<f64> {
    match section.number(name)? {
        Some(number) if number > 0.0 => Ok(number),
        Some(number) => Err(section.invalid(name, format!("is {number}; it must be positive"))),
        None => Err(section.invalid(name, "is missing".to_owned())),
    }
}
