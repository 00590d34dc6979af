package journal

import "errors"

func pluginList([]byte) ([]string, error) { return nil, errors.New("wp.PluginList is not there yet") }
func insertPlugin([]byte, string) ([]byte, error) {
	return nil, errors.New("wp.InsertPlugin is not there yet")
}
