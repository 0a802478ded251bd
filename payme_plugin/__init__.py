"""A PaymeGO payment plugin for a POS. The plugin itself is ``payme_plugin.plugin:plugin``."""
