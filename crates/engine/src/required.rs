//! Which tensors a model needs, told by the networks themselves.

use crate::Result;
use crate::info::ModelInfo;
use crate::models::{ClipText, UNet, Vae};
use crate::ops::{Packing, Precision, Residency};
use crate::weights::{Listing, Weights};

/// A tensor that the configuration of a model asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Required {
    /// The sub-folder of the model that holds it.
    pub component: &'static str,
    /// Its name in the file.
    pub name: String,
    /// Its shape, outermost first.
    pub shape: Vec<usize>,
}

/// All tensors that a model of this configuration needs, by the names that published files have.
///
/// The networks are loaded from weights that note what they are asked for, so there is no second
/// description of their structure.
///
/// # Errors
/// The operating system gives no address space for tensors of these sizes.
pub fn required_tensors(info: &ModelInfo) -> Result<Vec<Required>> {
    Ok(Hollow::new(info, Precision::F32)?.tensors)
}

/// The networks of a configuration without their weights.
pub(crate) struct Hollow {
    pub(crate) text: ClipText,
    pub(crate) unet: UNet,
    pub(crate) vae: Vae,
    /// The tensors that they asked for.
    pub(crate) tensors: Vec<Required>,
}

impl Hollow {
    /// With a UNet of this precision.
    pub(crate) fn new(info: &ModelInfo, precision: Precision) -> Result<Self> {
        let listings = [(); 3].map(|()| Listing::default());
        let [text, unet, vae] = &listings;
        let stored = Residency::Stored;
        let text = ClipText::load(Weights::listing(text), info.text.clone(), stored)?;
        let unet = UNet::load(
            &Weights::listing(unet),
            info.unet.clone(),
            Packing::new(stored, precision),
        )?;
        let vae = Vae::load(Weights::listing(vae), info.vae.clone(), stored)?;
        let components = [("text_encoder", "text_model."), ("unet", ""), ("vae", "")];
        let tensors = components
            .into_iter()
            .zip(&listings)
            .flat_map(|((component, prefix), listing)| {
                listing.take().into_iter().map(move |(name, shape)| Required {
                    component,
                    name: format!("{prefix}{name}"),
                    shape,
                })
            })
            .collect();
        Ok(Self { text, unet, vae, tensors })
    }
}
