package main

import (
	"context"
	"errors"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/vault"
)

// dependsAnswer is nil when what the roles of this process depend on does: the
// state store, and Vault for those that sign at each request. A gateway alone
// goes on without Vault: its calls need no signature.
func (r *roles) dependsAnswer(ctx context.Context) error {
	return errors.Join(r.storeAnswers(ctx), r.vaultAnswers(ctx))
}

// vaultAnswers tells whether Vault would sign now. Its own error may name hosts.
func (r *roles) vaultAnswers(ctx context.Context) error {
	client, ok := r.site.keys.(*vault.Client)
	if !ok || len(r.site.config.Roles) == 1 && r.site.config.Has(config.RoleGateway) {
		return nil
	}
	err := client.Ready(ctx)
	if err == nil {
		return nil
	}
	r.log.Warn("vault is not ready", "error", err.Error())
	why := keys.ErrUnavailable
	if e, ok := errors.AsType[*keys.Error](err); ok {
		why = e
	}
	return errors.New("keys: " + why.Code() + ": " + why.Error())
}
