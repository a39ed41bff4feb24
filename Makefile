# Everything a newcomer needs: `make demo` runs Sealgate, `make test` tests it.
GO ?= go
export CGO_ENABLED ?= 0

.PHONY: demo tour test bench build fmt docs vault vault-demo

build:            ## bin/sealgate
	@mkdir -p bin
	$(GO) build -trimpath -o bin/sealgate ./cmd/sealgate

demo: build       ## gateway, seal service and sample departments on loopback
	@exec bin/sealgate demo

tour: build       ## the whole story, step by step; exits 0 only if all of it held
	bin/sealgate demo -tour

test:             ## all tests (-race runs in .ci/run)
	$(GO) test ./...

fmt:
	gofmt -w $$(git ls-files '*.go')

docs:             ## regenerate the generated documents
	$(GO) test ./internal/problem -run TestErrorsDocumentIsUpToDate -update

vault:            ## bin/vault: a real Vault server for tests and trials (cold: several minutes)
	@mkdir -p bin
	cd deploy/vault/devserver && $(GO) build -tags minimal -trimpath -ldflags '-s -w' -o ../../../bin/vault .

vault-demo: build ## the tour with all signing keys in a real Vault (needs `make vault`)
	deploy/vault/demo.sh

# The figures of docs/figures.md, on one core where they say so. Quote ratios of
# one run: machines are shared and noisy.
bench:
	$(GO) test -run '^$$' -bench 'Sign|Verify|SM3' -cpu 1 ./internal/gm
	$(GO) test -run '^$$' -bench 'SealZ|Verify' -benchtime 2s -cpu 1 ./seal
	$(GO) test -run '^$$' -bench 'Decide' ./policy/engine
	$(GO) test -run '^$$' -bench 'Mask' -cpu 1 ./gateway/mask
	$(GO) test -run '^$$' -bench 'Ledger|SQLite' ./audit
	$(GO) test -run '^$$' -bench 'Call' ./gateway
	$(GO) test -run '^$$' -bench 'Vault' -benchtime 1x ./keys/vault
