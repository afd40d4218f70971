//! What a fresh database begins with: what the binary carries.

use diffusion_jobs::images::Image;
use diffusion_jobs::models::Model;
use diffusion_jobs::{Database, Result};

use super::pictures::SAMPLES;
use crate::embedded;

/// Whose the shipped images and models are.
const OWNER: &str = "diffusion-server";

/// What hosts the models in the binary.
const HOST: &str = "EMBEDDED";

/// Adds the sample images and the demo models to a database that has never been seeded.
///
/// # Errors
/// The database.
pub(crate) async fn seed(database: &Database) -> Result<bool> {
    let images = embedded::SAMPLES.iter();
    let images = images.map(|(name, _)| Image::new(*name, OWNER, format!("{SAMPLES}{name}")));
    let models = embedded::MODELS.iter().map(|(name, _)| Model::new(*name, OWNER, HOST));
    database.seed(&images.collect::<Vec<_>>(), &models.collect::<Vec<_>>()).await
}
