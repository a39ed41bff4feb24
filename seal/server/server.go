// Package server is the seal service's HTTP API.
package server
