package audit

import (
	"fmt"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/transparency-dev/merkle/compact"
)

// The tree is that of RFC 9162 section 2.1 with SM3:
//
//	empty root = SM3()
//	leaf       = SM3(0x00 || record)
//	node       = SM3(0x01 || left || right)
const (
	leafPrefix = 0x00
	nodePrefix = 0x01
)

// sm3Hasher is merkle.LogHasher over SM3.
type sm3Hasher struct{}

func (sm3Hasher) EmptyRoot() []byte {
	h := gm.SM3()
	return h[:]
}

func (sm3Hasher) HashLeaf(record []byte) []byte {
	h := gm.SM3([]byte{leafPrefix}, record)
	return h[:]
}

func (sm3Hasher) HashChildren(left, right []byte) []byte {
	var in [1 + 2*gm.DigestSize]byte
	in[0] = nodePrefix
	copy(in[1:], left)
	copy(in[1+gm.DigestSize:], right)
	h := gm.SM3(in[:])
	return h[:]
}

func (sm3Hasher) Size() int { return gm.DigestSize }

// newTree returns an empty tree that grows at the right and keeps only the
// roots of its perfect subtrees: at most 64 hashes.
func newTree() *compact.Range {
	f := compact.RangeFactory{Hash: sm3Hasher{}.HashChildren}
	return f.NewEmptyRange(0)
}

// resumeTree returns the tree of size leaves whose perfect subtrees are given.
func resumeTree(size uint64, subtrees [][]byte) (*compact.Range, error) {
	f := compact.RangeFactory{Hash: sm3Hasher{}.HashChildren}
	for _, h := range subtrees {
		if len(h) != gm.DigestSize {
			return nil, fmt.Errorf("a subtree hash has %d bytes", len(h))
		}
	}
	return f.NewRange(0, size, append([][]byte(nil), subtrees...))
}

// rootOf returns the root of the tree.
func rootOf(tree *compact.Range) []byte {
	if tree.End() == 0 {
		return sm3Hasher{}.EmptyRoot()
	}
	root, err := tree.GetRootHash(nil)
	if err != nil {
		panic("audit: tree does not begin at 0: " + err.Error()) // newTree and resumeTree begin at 0
	}
	return root
}
