//! The events topic as JSON lines.

use clap::Args;
use ribstream_runtime::kafka::KafkaOptions;

/// What `tap` needs.
#[derive(Args, Clone, Debug)]
pub struct TapOptions {
    /// Where Kafka is.
    #[command(flatten)]
    pub kafka: KafkaOptions,
}

/// Prints.
///
/// # Errors
/// None.
pub fn tap(_options: &TapOptions) -> anyhow::Result<()> {
    Ok(())
}
