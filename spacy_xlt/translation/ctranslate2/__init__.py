"""Translation models run by CTranslate2, converted on first use. The package of that name is imported absolutely."""
