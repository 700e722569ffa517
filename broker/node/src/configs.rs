//! What is set on topics, brokers and groups, changed while the broker runs.

use wire::messages::alter_configs_request::AlterConfigsRequest;
use wire::messages::alter_configs_response::AlterConfigsResponse;
use wire::messages::incremental_alter_configs_request::IncrementalAlterConfigsRequest;
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

    /// Serves IncrementalAlterConfigs on a node that is alone; when it returns the changes are
    /// durable and in force. Blocks on the disk.
    pub fn incremental_alter_configs(
        &self,
        now_ms: i64,
        request: &IncrementalAlterConfigsRequest,
    ) -> IncrementalAlterConfigsResponse {
        self.ask_alone(now_ms, 0, request.clone().into()).try_into().unwrap_or_default()
    }

    /// Serves AlterConfigs on a node that is alone; when it returns the changes are durable and in
    /// force. Blocks on the disk.
    pub fn alter_configs(
        &self,
        now_ms: i64,
        request: &AlterConfigsRequest,
    ) -> AlterConfigsResponse {
        self.ask_alone(now_ms, 0, request.clone().into()).try_into().unwrap_or_default()
    }
}
