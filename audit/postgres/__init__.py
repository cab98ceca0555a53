"""The product's database: the only package that says asyncpg, beside the demo's."""
