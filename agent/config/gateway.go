package config

// Gateway says what wpmend may do about the gateway's own configuration.
type Gateway struct {
	// Tune allows a drop-in file of wpmend's own, which raises a buffer or a timeout,
	// after the gateway's own test of it, with a graceful reload.
	Tune bool `toml:"tune" json:"tune"`
}
