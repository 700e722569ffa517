//! What is set on topics, brokers and groups, changed while the broker runs.

use metadata::control::configs;
use wire::ErrorCode;
use wire::messages::alter_configs_request::AlterConfigsRequest;
use wire::messages::alter_configs_response as replace;
use wire::messages::alter_configs_response::AlterConfigsResponse;
use wire::messages::incremental_alter_configs_request::IncrementalAlterConfigsRequest;
use wire::messages::incremental_alter_configs_response as incremental;
use wire::messages::incremental_alter_configs_response::IncrementalAlterConfigsResponse;

use crate::node::Node;

impl Node {
    /// The value that holds for one of the broker's own keys, as it was written.
    #[must_use]
    pub fn broker_config(&self, name: &str) -> Option<String> {
        let settings = &self.config.settings;
        let image = self.image();
        settings.broker.layers(&image, settings.node_id).value(name).map(|setting| setting.text)
    }

    /// The value that holds for one listener: its own, or the broker's.
    #[must_use]
    pub fn listener_config(&self, listener: &str, name: &str) -> Option<String> {
        let settings = &self.config.settings;
        let image = self.image();
        settings.broker.layers(&image, settings.node_id).of_listener(listener, name)
    }

    /// Serves IncrementalAlterConfigs; when it returns the changes are durable and in force. Blocks
    /// on the disk.
    pub fn incremental_alter_configs(
        &self,
        now_ms: i64,
        request: &IncrementalAlterConfigsRequest,
    ) -> IncrementalAlterConfigsResponse {
        let decided = self.decide(now_ms, |ctx| configs::incremental_alter_configs(ctx, request));
        decided.unwrap_or_else(|error| {
            let refused = request.resources.iter().map(|resource| {
                incremental::AlterConfigsResourceResponse {
                    error_code: ErrorCode::KafkaStorageError.into(),
                    error_message: Some(error.to_string()),
                    resource_type: resource.resource_type,
                    resource_name: resource.resource_name.clone(),
                }
            });
            let responses = refused.collect();
            IncrementalAlterConfigsResponse { responses, ..Default::default() }
        })
    }

    /// Serves AlterConfigs; when it returns the changes are durable and in force. Blocks on the
    /// disk.
    pub fn alter_configs(
        &self,
        now_ms: i64,
        request: &AlterConfigsRequest,
    ) -> AlterConfigsResponse {
        let decided = self.decide(now_ms, |ctx| configs::alter_configs(ctx, request));
        decided.unwrap_or_else(|error| {
            let refused =
                request.resources.iter().map(|resource| replace::AlterConfigsResourceResponse {
                    error_code: ErrorCode::KafkaStorageError.into(),
                    error_message: Some(error.to_string()),
                    resource_type: resource.resource_type,
                    resource_name: resource.resource_name.clone(),
                });
            let responses = refused.collect();
            AlterConfigsResponse { responses, ..Default::default() }
        })
    }
}
